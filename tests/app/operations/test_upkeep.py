"""What the nightly jobs do, at the time of a clock."""

from datetime import UTC, date, datetime

import pytest
import pytest_asyncio

from app.operations.upkeep import Upkeep
from app.runtime.clock import ManualClock
from app.store.database import Database
from app.store.partitions import EventPartitions
from app.store.retention import EventRetention


@pytest_asyncio.fixture
async def own_database(new_database):
    database = await Database.open(await new_database(), default=False)
    yield database
    await database.close()


class Heard(list):
    async def __call__(self, progress: float, message: str) -> None:
        assert 0 <= progress <= 1
        self.append(message)


@pytest.mark.parametrize(
    ("keep", "now", "first"),
    [
        (None, datetime(2026, 1, 31, tzinfo=UTC), None),
        (1, datetime(2026, 1, 31, tzinfo=UTC), date(2025, 12, 1)),
        (13, datetime(2026, 3, 1, tzinfo=UTC), date(2025, 2, 1)),
        (24, datetime(2024, 2, 29, tzinfo=UTC), date(2022, 2, 1)),
    ],
)
def test_whole_months_are_kept(keep, now, first):
    assert Upkeep(None, clock=ManualClock(now), keep_months=keep).kept_from() == first


async def test_old_months_are_dropped_and_said(own_database):
    months = [datetime(2025, month, 3, tzinfo=UTC) for month in (9, 10, 12)]
    await EventPartitions(own_database).ensure(months)
    upkeep = Upkeep(own_database, clock=ManualClock(datetime(2026, 1, 2, tzinfo=UTC)), keep_months=1)
    heard = Heard()
    assert await upkeep.drop_old_events(told=heard) == ["2025-09", "2025-10"]
    assert heard == ["2025-09 dropped", "2025-10 dropped"]
    assert await EventPartitions(own_database).months() == [date(2025, 12, 1)]
    assert await upkeep.drop_old_events(told=heard) == []


async def test_without_a_limit_nothing_is_dropped_and_nothing_refused(own_database):
    await EventPartitions(own_database).ensure([datetime(2020, 1, 1, tzinfo=UTC)])
    upkeep = Upkeep(own_database, clock=ManualClock(datetime(2026, 1, 2, tzinfo=UTC)), keep_months=None)
    assert await upkeep.drop_old_events(told=Heard()) == []
    assert await EventRetention(own_database).kept_from() is None
    assert await EventPartitions(own_database).months() == [date(2020, 1, 1)]


async def test_days_that_are_over_are_folded_and_today_is_not(clean_database):
    row = "1, $1::date, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0"
    await clean_database.execute("INSERT INTO merchant (id, key, name, category) VALUES (1, 'm', 'M', 'food')")
    await clean_database.execute(
        "INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount) VALUES (1, 'c', 'C', 1, '{1}', 1)"
    )
    for day in (date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2)):
        await clean_database.execute(f"INSERT INTO campaign_day VALUES ({row})", day)
    upkeep = Upkeep(clean_database, clock=ManualClock(datetime(2026, 1, 2, 12, tzinfo=UTC)), keep_months=None)
    heard = Heard()
    assert await upkeep.fold_totals(told=heard) == 1
    slots = await clean_database.fetch("SELECT day, slot FROM campaign_day ORDER BY day")
    assert [slot for _, slot in slots] == [0, 3, 3]
    assert heard[-1] == "campaign_cohort: 1 rows moved"


async def test_advice_that_no_longer_stands_is_forgotten_after_its_days(clean_database):
    await clean_database.execute(
        "INSERT INTO recommendation (kind, title, rationale, superseded_at)"
        " SELECT 'BUDGET', 't', 'r', at FROM unnest(ARRAY[NULL, '2025-09-01', '2025-12-01']::timestamptz[]) at"
    )
    now = ManualClock(datetime(2026, 1, 2, 12, tzinfo=UTC))
    keeping = Upkeep(clean_database, clock=now, keep_months=None)
    assert await keeping.forget_advice() == 0
    upkeep = Upkeep(clean_database, clock=now, keep_months=None, keep_advice_days=90)
    assert await upkeep.forget_advice() == 1
    assert await upkeep.forget_advice() == 0
    left = await clean_database.fetch("SELECT superseded_at FROM recommendation ORDER BY superseded_at")
    assert [row["superseded_at"] for row in left] == [datetime(2025, 12, 1, tzinfo=UTC), None]
