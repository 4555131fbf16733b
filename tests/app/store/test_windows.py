from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.store.windows import DAY, HOUR, Rung, Span, Window, ceiling, floor, ladder

instants = st.datetimes(datetime(2020, 1, 1), datetime(2020, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001  # given UTC
edges = st.one_of(instants, instants.map(lambda at: floor(at, HOUR)), instants.map(lambda at: floor(at, DAY)))


@given(edges, edges)
def test_a_ladder_covers_its_window_once(one: datetime, other: datetime) -> None:
    if one == other:
        return
    window = Window(min(one, other), max(one, other))
    spans = sorted(ladder(window, widest=Rung.TOTAL), key=lambda span: span.from_)
    assert (spans[0].from_, spans[-1].to) == (window.from_, window.to)
    assert all(span.from_ < span.to for span in spans)
    assert all(before.to == after.from_ for before, after in pairwise(spans))
    for span in spans:
        width = {Rung.DAY: DAY, Rung.HOUR: HOUR}.get(span.rung)
        assert width is None or (floor(span.from_, width), floor(span.to, width)) == (span.from_, span.to)
        assert span.rung is not Rung.EVENT or span.to - span.from_ < HOUR * 2
        assert span.rung is not Rung.HOUR or span.to - span.from_ < DAY * 2


def test_open_ends_have_no_edge() -> None:
    assert ladder(Window(), widest=Rung.TOTAL) == (Span(Rung.TOTAL, None, None),)
    assert ladder(Window()) == (Span(Rung.DAY, None, None),)
    at = datetime(2026, 1, 5, 3, 30, tzinfo=UTC)
    assert ladder(Window(at, None)) == (
        Span(Rung.DAY, datetime(2026, 1, 6, tzinfo=UTC), None),
        Span(Rung.HOUR, datetime(2026, 1, 5, 4, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)),
        Span(Rung.EVENT, at, datetime(2026, 1, 5, 4, tzinfo=UTC)),
    )


def test_hours_where_days_cannot_answer() -> None:
    day = datetime(2026, 1, 5, tzinfo=UTC)
    assert ladder(Window(day, day + DAY), widest=Rung.HOUR) == (Span(Rung.HOUR, day, day + DAY),)


@given(instants)
def test_alignment(at: datetime) -> None:
    for width in (HOUR, DAY, 7 * DAY):
        assert floor(at, width) <= at < floor(at, width) + width
        assert ceiling(at, width) in (floor(at, width), floor(at, width) + width)
    assert floor(at, 7 * DAY).isoweekday() == 1
    assert floor(at, DAY) == at.replace(hour=0, minute=0, second=0, microsecond=0)


AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("from_", "to", "path"),
    [
        (AT, AT, ("window",)),
        (AT, AT - HOUR, ("window",)),
        (AT.replace(tzinfo=None), None, ("window", "from")),
        (None, AT.replace(tzinfo=None), ("window", "to")),
        (datetime(1, 1, 1, tzinfo=UTC), None, ("window", "from")),
        (None, datetime(9999, 12, 31, 23, tzinfo=UTC), ("window", "to")),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=9))), None, ("window", "from")),
    ],
)
def test_a_window_that_cannot_be(from_: datetime | None, to: datetime | None, path: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        Window(from_, to)
    assert refused.value.path == path


def test_a_window_in_another_zone_is_the_same() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert Window(AT.astimezone(tokyo), None) == Window(AT, None)
    assert Window(AT.astimezone(tokyo)).from_.tzinfo is UTC
