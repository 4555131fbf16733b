import random
from datetime import UTC, datetime, timedelta

from bench.faulting.world import DECIDED, TOLD, make_event, reckon

EXPOSED = "2026-05-01T12:00:00+00:00"


def event(number: int, kind: str, at: str, **given: str) -> dict[str, str]:
    return {"id": str(number), "type": kind, "occurredAt": at, "userId": "user-7", **given}


def test_counts_and_money_of_campaigns():
    sent = [event(n, "SENT", EXPOSED, campaignId="c1") for n in range(3)]
    bought = event(4, "CONVERTED", EXPOSED, campaignId="c2", value="12.34")
    assert reckon([*sent, bought]).campaigns == {
        ("c1", "sent"): 3,
        ("c2", "converted"): 1,
        ("c2", "revenue_micros"): 12_340_000,
    }


def test_a_unit_counts_once_from_its_first_exposure_on_whatever_the_order():
    exposures = [
        event(1, "EXPOSED", "2026-05-01T13:00:00+00:00", testId=TOLD),
        event(2, "EXPOSED", EXPOSED, testId=TOLD),
    ]
    between = event(3, "CONVERTED", "2026-05-01T12:30:00+00:00", campaignId="c1", value="1.00")
    for events in ([*exposures, between], [between, *reversed(exposures)]):
        truth = reckon(events)
        assert truth.exposed == {(TOLD, "b"): 1}
        assert truth.converted == {(TOLD, "b"): 1}


def test_conversions_count_within_the_window_alone():
    def converted(at: str) -> int:
        bought = event(2, "CONVERTED", at, campaignId="c1", value="1.00")
        return reckon([event(1, "EXPOSED", EXPOSED, testId=DECIDED), bought]).converted[DECIDED, ""]

    assert [converted(at) for at in ("2026-05-01T11:59:59+00:00", EXPOSED, "2026-05-04T11:59:59+00:00")] == [0, 1, 1]
    assert converted("2026-05-04T12:00:00+00:00") == 0


def test_events_lie_within_the_spread():
    now, rng = datetime(2026, 5, 1, tzinfo=UTC), random.Random(1)
    times = [
        datetime.fromisoformat(make_event(rng, str(n), now, spread=timedelta(hours=2))["occurredAt"])
        for n in range(200)
    ]
    assert now - timedelta(hours=2) < min(times) < max(times) <= now
