"""Distances against published ones."""

import pytest

from app.errors import InvalidInput
from app.optimizer.distances import Place, checked_place, place_of


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        (Place(0.0, 0.0), Place(0.0, 1.0), 111.195),  # a degree of a sphere of the mean radius
        (Place(90.0, 0.0), Place(-90.0, 0.0), 20015.115),  # half its circumference
        (Place(0.0, 179.5), Place(0.0, -179.5), 111.195),  # across the date line
        (Place(36.12, -86.67), Place(33.94, -118.40), 2886.448),  # Rosetta Code's BNA to LAX, scaled to this radius
        (Place(41.9, 12.5), Place(41.9, 12.5), 0.0),
    ],
)
def test_great_circles(here: Place, there: Place, km: float) -> None:
    assert here.distance_km(there) == pytest.approx(km, rel=1e-4, abs=1e-9)
    assert there.distance_km(here) == pytest.approx(here.distance_km(there))


def test_half_a_place_is_none_where_stored_and_refused_where_given() -> None:
    assert place_of(1.0, None) is None
    assert checked_place(None, None) is None
    assert checked_place(-90.0, 180.0) == Place(-90.0, 180.0)
    with pytest.raises(InvalidInput):
        checked_place(None, 1.0)
    with pytest.raises(InvalidInput):
        checked_place(float("nan"), 1.0)
