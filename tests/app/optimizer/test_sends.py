"""What came of a send, held against looking through all events one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.optimizer.sends import DAY_MICROS, NEVER, first_after, latest_before, send_log
from app.store.columns import Columns

ROW = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 12))
ROWS = st.lists(ROW, max_size=14)


def columns(rows: list[tuple[int, int, int]], **others: list[float]) -> Columns:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    given = {name: np.array(values) for name, values in others.items()}
    return {"user_id": table[:, 0], "campaign_id": table[:, 1], "at": table[:, 2], **given}


@settings(deadline=None)
@given(asked=ROWS, events=ROWS)
def test_the_last_event_before(asked: list[tuple[int, int, int]], events: list[tuple[int, int, int]]) -> None:
    places = latest_before(columns(asked), columns(events))
    for row, place in zip(asked, places.tolist(), strict=True):
        before = [event for event in events if event[:2] == row[:2] and event[2] <= row[2]]
        assert (events[place] if place >= 0 else None) == (max(before, key=lambda e: e[2]) if before else None)


@settings(deadline=None)
@given(sends=st.lists(ROW, max_size=14, unique=True), events=ROWS)
def test_the_first_event_after_and_before_the_next_send(
    sends: list[tuple[int, int, int]], events: list[tuple[int, int, int]]
) -> None:
    found = first_after(columns(sends), columns(events))
    for send, at in zip(sends, found.tolist(), strict=True):
        later = [other[2] for other in sends if other[:2] == send[:2] and other[2] > send[2]]
        until = min(later, default=NEVER)
        own = [event[2] for event in events if event[:2] == send[:2] and send[2] <= event[2] < until]
        assert at == min(own, default=NEVER)


def sent(*rows: tuple[int, int, int], amounts: list[int], probabilities: list[float]) -> Columns:
    count = len(rows)
    return columns(
        list(rows),
        amount=amounts,
        probability=probabilities,
        merchant_id=[7] * count,
        channel=[1] * count,
        segment=[0] * count,
    )


NOTHING = columns([], value=[])
NOBODY = columns([], until=[], amount=[], probability=[])


def test_sends_come_in_the_order_of_their_time() -> None:
    sends = sent((1, 1, 9), (2, 1, 3), amounts=[500, 700], probabilities=[0.5, np.nan])
    log = send_log(sends, opened=columns([(2, 1, 5)]), converted=columns([(1, 1, 10)]), drawn=NOBODY)
    assert log.at.tolist() == [3, 9]
    assert log.amounts.tolist() == [700, 500]
    assert log.opened_at.tolist() == [5, NEVER]
    assert log.converted_at.tolist() == [NEVER, 10]
    assert np.isfinite(log.probabilities).tolist() == [False, True]


def test_what_a_test_drew_counts_while_it_ran_whatever_was_sent() -> None:
    rows = [(1, 1, 1), (1, 1, 5), (1, 1, 30), (1, 2, 5), (2, 1, 5)]
    sends = sent(*rows, amounts=[500] * 5, probabilities=[np.nan] * 5)
    drawn = columns([(1, 1, 4)], until=[20], amount=[900], probability=[0.25])
    log = send_log(sends, opened=NOTHING, converted=NOTHING, drawn=drawn)
    found = sorted(zip(log.users.tolist(), log.campaigns.tolist(), log.at.tolist(), log.amounts.tolist(), strict=True))
    assert found == [(1, 1, 1, 500), (1, 1, 5, 900), (1, 1, 30, 500), (1, 2, 5, 500), (2, 1, 5, 500)]
    assert np.isfinite(log.probabilities).sum() == 1


def test_an_outcome_counts_for_so_many_days() -> None:
    sends = sent((1, 1, 0), (2, 1, 0), amounts=[1, 1], probabilities=[np.nan] * 2)
    events = columns([(1, 1, DAY_MICROS), (2, 1, DAY_MICROS + 1)])
    log = send_log(sends, opened=events, converted=NOTHING, drawn=NOBODY)
    assert sorted(log.within(log.opened_at, 1.0).tolist()) == [False, True]
    assert not log.within(log.converted_at, 1.0).any()
