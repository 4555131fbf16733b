import pytest

from bench.soak import Samples, table


def samples(values: list[float], *, name: str = "web MB", seconds: float = 5.0) -> Samples:
    made = Samples()
    made.taken[name] = [(1_000 + seconds * place, value) for place, value in enumerate(values)]
    return made


def test_a_slope_is_a_minute_s_and_of_the_second_half():
    grows = [100.0] * 120 + [100 + 0.5 * step for step in range(120)]  # half a megabyte each 5 s
    slope, low, high = samples(grows).slope("web MB")
    assert slope == pytest.approx(6.0, rel=0.02)
    assert low <= slope <= high


def test_what_swings_around_a_level_is_flat_and_what_grows_is_not():
    swinging = [100 + 3 * (step % 7) for step in range(240)]
    assert table(samples(swinging))[1]
    assert not table(samples([100 + 0.2 * step for step in range(240)]))[1]
    assert table(samples([float(step) for step in range(240)], name="web objects"))[1]  # told, not judged


def test_growth_before_the_second_half_is_a_start():
    assert table(samples([float(step) for step in range(120)] + [120.0 + step % 3 for step in range(120)]))[1]
