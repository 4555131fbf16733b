"""What campaigns did lately, against what was put in."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from app.store.activity import ActivityStore, Earned, Reached
from app.store.database import Database
from app.store.partitions import EventPartitions
from engine.learning.earnings import Earnings

NOW = datetime(2026, 3, 31, tzinfo=UTC)
START = NOW - timedelta(days=30)


@pytest_asyncio.fixture
async def store(clean_database: Database) -> ActivityStore:
    await EventPartitions(clean_database).ensure([START, NOW])
    await clean_database.execute("INSERT INTO merchant (key, name, category) VALUES ('m', 'M', '')")
    await clean_database.execute(
        "INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount)"
        " SELECT 'c' || n, 'C', 1, 'ACTIVE', '{1}', 5 FROM generate_series(1, 3) n"
    )
    await clean_database.execute(
        "INSERT INTO app_user (external_id, timezone) VALUES ('ann', 'America/New_York'), ('bob', 'Mars/Olympus'),"
        " ('cid', NULL)"
    )
    return ActivityStore(clean_database)


class Happening:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._count = 0

    async def __call__(self, kind: int, user: int, at: datetime, **given) -> None:
        self._count += 1
        names = {"campaign_id": 1, "channel": 1} | given
        columns = ", ".join(names)
        places = ", ".join(f"${n}" for n in range(6, 6 + len(names)))
        await self._database.execute(
            f"INSERT INTO event (key, event_id, type, user_id, occurred_at, {columns})"
            f" VALUES (md5($1)::uuid, $2, $3, $4, $5, {places})",
            f"e{self._count}", f"e{self._count}", kind, user, at, *names.values(),
        )  # fmt: skip


@pytest.fixture
def happens(clean_database: Database) -> Happening:
    return Happening(clean_database)


SENT, CONVERTED = 1, 6
AT = datetime(2026, 3, 20, 14, tzinfo=UTC)


async def test_what_conversions_earned_with_their_squares(store: ActivityStore, happens: Happening) -> None:
    await happens(CONVERTED, 1, AT, value_micros=20_000_000, offer_micros=5_000_000)
    await happens(CONVERTED, 2, AT, value_micros=10_000_000, cost_micros=2_000_000, offer_micros=5_000_000)
    await happens(CONVERTED, 2, AT, channel=2)
    await happens(CONVERTED, 2, AT, campaign_id=2, value_micros=1_000_000)
    await happens(CONVERTED, 1, NOW, value_micros=99_000_000)  # the end is not in the window
    await happens(SENT, 1, AT, cost_micros=1_000_000)
    found = await store.earned([1], START, NOW)
    assert found == [
        Earned(
            campaign_id=1,
            channel=1,
            sums=Earnings(
                conversions=2, value=30.0, reward=7.0, value_squares=500.0, value_reward=120.0, reward_squares=29.0
            ),
        ),
        Earned(campaign_id=1, channel=2, sums=Earnings(conversions=1)),
    ]


async def test_users_reached_and_converted_each_once(store: ActivityStore, happens: Happening) -> None:
    for user, kind in ((1, SENT), (1, SENT), (1, CONVERTED), (1, CONVERTED), (2, SENT), (3, CONVERTED)):
        await happens(kind, user, AT)
    assert await store.reached([1, 2], START, NOW) == {1: Reached(campaign_id=1, users=2, converted=1)}


async def test_hours_of_sending_beside_hours_advised(store, happens, clean_database: Database) -> None:
    model = await clean_database.fetchval(
        "INSERT INTO trained_model (kind, version, training_rows, seconds, scores, active)"
        " VALUES ('SEND_TIME', 1, 1, 1, '{}', true) RETURNING id"
    )
    for user in (1, 2):
        await clean_database.execute(
            "INSERT INTO send_time_profile (user_id, model_id, hour, sends, open_probability, low, high, by_hour)"
            " VALUES ($1, $2, 20, 9, 0.5, 0.402, 0.598, $3)",
            user, model, [hour / 100 for hour in range(24)],
        )  # fmt: skip
    await happens(SENT, 1, datetime(2026, 3, 5, 14, tzinfo=UTC))  # 9 in New York, before the clock was put forward
    await happens(SENT, 1, datetime(2026, 3, 20, 14, tzinfo=UTC))  # 10 there, after
    await happens(SENT, 2, datetime(2026, 3, 20, 14, tzinfo=UTC))  # an unknown zone stands for UTC
    await happens(SENT, 3, datetime(2026, 3, 20, 14, tzinfo=UTC))  # no row: left out
    found = (await store.timed([1, 2], START, NOW))[1]
    assert (found.sends, found.users) == (3, 2)
    assert found.sent_rate == pytest.approx((0.09 + 0.10 + 0.14) / 3)
    assert found.advised_rate == pytest.approx(0.5)
    assert found.advised_variance == pytest.approx(0.05**2)


async def test_campaigns_that_run_and_those_with_tests(store, clean_database: Database) -> None:
    await clean_database.execute("UPDATE campaign SET ends_at = $1 WHERE id = 2", NOW)
    await clean_database.execute("UPDATE campaign SET status = 'PAUSED' WHERE id = 3")
    assert [one.id for one in await store.active_campaigns(NOW)] == [1]
    assert [one.id for one in await store.active_campaigns(NOW - timedelta(hours=1))] == [1, 2]
    await clean_database.execute(
        "INSERT INTO ab_test (key, name, seed, campaign_id, status) VALUES ('a', 'A', 's', 1, 'DRAFT'),"
        " ('b', 'B', 's', 2, 'ENDED')"
    )
    assert await store.tested([1, 2, 3]) == {1}
