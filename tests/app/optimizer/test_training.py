"""Training from the events of a small shop to the rows that are served; twice, late, broken off, and taken back."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import pytest_asyncio

from app.abtests.audiences import is_for
from app.auth.auditing import Audit
from app.auth.principals import COMMAND_LINE, Principal, Role
from app.errors import DomainErrors, NotAllowed
from app.ingestion.batches import IncomingEvent
from app.ingestion.pipeline import Ingestion
from app.optimizer.artefacts import from_artefact
from app.optimizer.courses import Plan
from app.optimizer.requesting import TrainingRequests
from app.optimizer.training import Training
from app.runtime.broadcast import LocalBroadcast
from app.runtime.clock import ManualClock
from app.runtime.compute import InlineCompute
from app.store.access import AccessStore
from app.store.database import Database
from app.store.events import EventStore
from app.store.jobs import JobStore
from app.store.learned import LearnedStore
from app.store.model_versions import TABLES
from app.store.models.codes import JobStatus, ModelKind
from app.store.queue import JobQueue

NOW = datetime(2026, 4, 10, 9, tzinfo=UTC)
DAYS = 88
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", None)
SEGMENTS = ("new", "loyal", "Überall 東京", "")
USERS, MERCHANTS, CAMPAIGNS, SENDS = 120, 5, 6, 2_400
PLAN = Plan(outcome_days=3.0, threads=1)
CATALOGUE = """
    INSERT INTO merchant (id, key, name, category, latitude, longitude)
        SELECT m, 'shop-' || m, 'Läden ' || m, 'food', 52 + m / 100.0, 13 FROM generate_series(1, 5) m;
    INSERT INTO campaign (id, key, name, merchant_id, channels, offer_amount, currency, status)
        SELECT c, 'campaign-' || c, 'Campaign ' || c, (c - 1) % 5 + 1, '{1}', 5.00,
               CASE c WHEN 6 THEN 'JPY' ELSE 'USD' END, CASE c WHEN 5 THEN 'ENDED' ELSE 'ACTIVE' END
        FROM generate_series(1, 6) c;
"""


async def nobody(_progress: float, _message: str) -> None:
    """Tell nobody."""


class Shop:
    """Users who open at 8 or at 20 by their own clock, like one shop best, and convert more the more they are offered.

    Campaign 1 draws one of four amounts by lot; 2 to 5 always offer 5.00; 6, in another currency, never says an amount.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock(NOW)
        self.rng = np.random.default_rng(7)
        self.events: list[IncomingEvent] = []

    @property
    def training(self) -> Training:
        return self.training_by(PLAN)

    def training_by(self, plan: Plan) -> Training:
        return Training(self.database, targets=is_for, compute=InlineCompute(), clock=self.clock, plan=plan)

    @property
    def requests(self) -> TrainingRequests:
        broadcast = LocalBroadcast()
        return TrainingRequests(
            self.database,
            jobs=JobStore(self.database, broadcast),
            queue=JobQueue(self.database, broadcast),
            audit=Audit(AccessStore(self.database)),
            clock=self.clock,
        )

    async def train(self, *kinds: ModelKind, **given: Any) -> dict[str, Any]:
        return await self.training.train(kinds or tuple(ModelKind), told=nobody, **given)

    async def open(self) -> "Shop":
        await self.database.execute(CATALOGUE)
        rows = [(u, f"user-{u}", SEGMENTS[u % 4], ZONES[u % 4]) for u in range(1, USERS + 1)]
        await self.database.executemany(
            "INSERT INTO app_user (id, external_id, segment, timezone) VALUES ($1, $2, $3, $4)", rows
        )
        return self

    async def trade(self, sends: int = SENDS) -> "Shop":
        for number in range(sends):
            self._send(number)
        ingestion = Ingestion(EventStore(self.database), ManualClock(NOW))
        for start in range(0, len(self.events), 2_000):
            receipt = await ingestion.record(self.events[start : start + 2_000])
            assert not receipt.rejected
        return self

    def _send(self, number: int) -> None:
        rng = self.rng
        user, campaign = int(rng.integers(1, USERS + 1)), int(rng.integers(1, CAMPAIGNS + 1))
        at = NOW - timedelta(days=float(rng.uniform(0, DAYS)))
        amount = float(rng.choice([2.0, 4.0, 6.0, 8.0])) if campaign == 1 else 5.0
        drawn = {"probability": 0.25} if campaign == 1 else {}
        told = {} if campaign == 6 else {"offer_amount": Decimal(str(amount))}
        self._add(number, "SENT", user, at, campaign=campaign, **told, **drawn)
        hour = at.astimezone(ZoneInfo(ZONES[user % 4] or "UTC")).hour
        likes = 8 if user % 2 else 20
        if rng.random() < (0.8 if min((hour - likes) % 24, (likes - hour) % 24) <= 2 else 0.2):
            self._add(number, "OPENED", user, at + timedelta(minutes=20), campaign=campaign)
        if rng.random() < 0.04 + 0.05 * amount * (1.5 if (campaign - user) % 5 == 0 else 0.7):
            value = Decimal(int(rng.integers(2_000, 4_000))) / 100
            self._add(number, "CONVERTED", user, at + timedelta(hours=5), campaign=campaign, value=value)
        if rng.random() < 0.3:
            self._add(number, "GEOFENCE_ENTERED", user, at + timedelta(hours=2), campaign=user % 5 + 1)

    def _add(self, number: int, kind: str, user: int, at: datetime, *, campaign: int, **given: Any) -> None:
        event = IncomingEvent(
            id=f"{kind}-{number}",
            type=kind,
            occurred_at=at,
            user_id=f"user-{user}",
            campaign_id=f"cmp_{campaign}",
            **given,
        )
        if at < NOW:
            self.events.append(event)

    async def count(self, table: str) -> int:
        return await self.database.fetchval(f"SELECT count(*) FROM {table}")

    async def counts(self) -> dict[str, int]:
        return {table: await self.count(table) for table in ("trained_model", *TABLES)}

    async def served(self) -> dict[str, int]:
        rows = await self.database.fetch("SELECT kind, version FROM trained_model WHERE active")
        return {row["kind"]: row["version"] for row in rows}


@pytest_asyncio.fixture
async def closed(clean_database: Database) -> Shop:
    """A shop to which nothing has happened."""
    return await Shop(clean_database).open()


@pytest_asyncio.fixture
async def shop(closed: Shop) -> Shop:
    return await closed.trade()


# ------------------------------------------------------------------------------------------------ what comes out


async def test_all_kinds_come_out_with_rows_that_name_them(shop: Shop) -> None:
    told: list[tuple[float, str]] = []

    async def telling(progress: float, message: str) -> None:
        told.append((progress, message))

    result = await shop.training.train(tuple(ModelKind), told=telling)
    assert result["refused"] == {}
    assert {kind: made["version"] for kind, made in result["made"].items()} == dict.fromkeys(ModelKind, 1)
    models = await shop.database.fetch("SELECT * FROM trained_model ORDER BY id")
    assert all(row["active"] and row["training_rows"] > 0 and row["scores"] for row in models)
    assert {row["window_end"] for row in models} == {
        max(event.occurred_at for event in shop.events) + timedelta(microseconds=1)
    }
    progress = [share for share, _ in told]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    assert "send time: 2 of 3 steps" in [message for _, message in told]
    assert told[-1][1] == "response: version 1. send time: version 1. offer: version 1. affinity: version 1."


async def test_the_amount_is_learned_from_what_was_drawn_and_the_rest_is_refused(shop: Shop) -> None:
    await shop.train(ModelKind.OFFER)
    (curve,) = await shop.database.fetch("SELECT * FROM offer_curve")
    assert curve["campaign_id"] == 1
    assert curve["low"] <= curve["amount"] <= curve["high"]
    assert 4 <= curve["amount"] <= 8  # each dollar adds 5 points to a conversion worth 30
    rates = [point["conversion_rate"][0] for point in curve["curve"]]
    assert rates == sorted(rates)
    assert curve["amount"] in [Decimal(str(point["amount"])).quantize(Decimal("0.01")) for point in curve["curve"]]
    assert "of 4 amounts, drawn by lot" in curve["evidence"]
    refusals = await shop.database.fetchval("SELECT refusals FROM trained_model WHERE kind = 'OFFER'")
    assert {one["campaign_id"] for one in refusals} == {2, 3, 4, 5, 6}
    assert all("Insufficient variation" in one["reason"] for one in refusals)


async def test_amounts_of_a_test_are_what_counts(shop: Shop) -> None:
    """Campaign 2 always said 5.00; a test gave its users other amounts, whatever their sends say."""
    await shop.database.execute("""
        INSERT INTO ab_test (id, key, name, seed, campaign_id, status, started_at)
            VALUES (1, 'amounts', 'Amounts', 'amounts', 2, 'RUNNING', '2026-01-01');
        INSERT INTO ab_test_variant (id, test_id, key, name, position, is_control, weight, payload)
            SELECT v, 1, 'v' || v, 'V', v, v = 1, 0.25, jsonb_build_object('offerAmount', (v * 2)::text || '.50')
            FROM generate_series(1, 4) v;
        INSERT INTO ab_test_variant (id, test_id, key, name, position, is_control, weight, payload)
            VALUES (5, 1, 'odd', 'Odd', 5, false, 0, '{"offerAmount": "a lot"}');
        INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,
                                        policy_version)
            SELECT 1, u, u % 5 + 1, '2026-01-01', '2026-01-01', 0.25, 1 FROM generate_series(1, 120) u;
    """)
    await shop.train(ModelKind.OFFER)
    curve = await shop.database.fetchrow("SELECT * FROM offer_curve WHERE campaign_id = 2")
    assert "of 4 amounts, drawn by lot" in curve["evidence"]
    assert {curve["curve"][0]["amount"], curve["curve"][-1]["amount"]} == {2.5, 8.5}
    advised = min(curve["curve"], key=lambda point: abs(point["amount"] - float(curve["amount"])))
    assert advised["gain"] == [0.0, 0.0, 0.0]
    assert all(point["gain"][0] >= 0.0 for point in curve["curve"])


async def test_hours_are_those_of_users_own_clocks(shop: Shop) -> None:
    await shop.train(ModelKind.SEND_TIME)
    rows = await shop.database.fetch("SELECT user_id, hour, by_hour, evidence FROM send_time_profile WHERE user_id > 0")
    assert len(rows) == USERS
    own = [row for row in rows if row["evidence"] == "USER"]
    right = [min((row["hour"] - (8 if row["user_id"] % 2 else 20)) % 24, 24) in (0, 1, 2, 22, 23) for row in rows]
    assert np.mean(right) > 0.7  # by the server's clock nobody in New York or India would be
    assert all(len(row["by_hour"]) == 24 and 0.0 < min(row["by_hour"]) <= max(row["by_hour"]) < 1.0 for row in rows)
    assert len(own) < USERS
    common = await shop.database.fetch("SELECT segment, sends FROM send_time_profile WHERE user_id IS NULL ORDER BY 1")
    sends = {row["segment"]: row["sends"] for row in common}
    assert set(sends) == {None, "new", "loyal", "Überall 東京"}
    assert sends[None] > sum(count for segment, count in sends.items() if segment)  # some have no segment
    scores = await shop.database.fetchval("SELECT scores FROM trained_model WHERE kind = 'SEND_TIME'")
    assert "sends went out at advised hours" in scores["at_advised_hours"]["reason"]


async def test_no_quiet_hour_is_advised(shop: Shop) -> None:
    quiet = (5, 6, 7, 8, 9, 10)
    plan = Plan(outcome_days=3.0, threads=1, quiet=quiet)
    training = shop.training_by(plan)
    await training.train([ModelKind.SEND_TIME], told=nobody)
    assert not set(quiet) & {row["hour"] for row in await shop.database.fetch("SELECT hour FROM send_time_profile")}


async def test_users_best_merchants(shop: Shop) -> None:
    await shop.train(ModelKind.AFFINITY)
    rows = await shop.database.fetch("SELECT * FROM merchant_affinity WHERE user_id IS NOT NULL ORDER BY user_id, rank")
    firsts = [row for row in rows if row["rank"] == 1]
    liked = [row["merchant_id"] == row["user_id"] % 5 + 1 or row["merchant_id"] == row["user_id"] % 5 for row in firsts]
    assert np.mean(liked) > 0.5
    assert {row["rank"] for row in rows} == {1, 2, 3, 4, 5}
    assert all(isinstance(reason, str) for row in rows for reason in row["reasons"])
    popular = await shop.database.fetch("SELECT rank FROM merchant_affinity WHERE user_id IS NULL ORDER BY rank")
    assert [row["rank"] for row in popular] == [1, 2, 3, 4, 5]


async def test_who_responds_and_an_artefact_that_says_the_same(shop: Shop) -> None:
    await shop.train(ModelKind.RESPONSE)
    rows = await shop.database.fetch("SELECT * FROM campaign_response ORDER BY user_id, rank")
    assert {row["campaign_id"] for row in rows} == {1, 2, 3, 4, 6}  # 5 has ended
    assert len(rows) == USERS * 5
    for _, mine in _by_user(rows):
        chances = [row["probability"] for row in mine]
        assert chances == sorted(chances, reverse=True)
        assert all(0.0 <= chance <= 1.0 for chance in chances)
    model = await shop.database.fetchrow("SELECT * FROM trained_model WHERE kind = 'RESPONSE'")
    loaded = from_artefact(model["artefact"])
    assert str(loaded.learner) == model["scores"]["active"]["learner"]
    assert loaded.predict(np.ones((2, 7))).shape == (2,)
    assert set(model["feature_importances"]) == set(loaded.names)


def _by_user(rows: list[Any]) -> list[tuple[int, list[Any]]]:
    users = sorted({row["user_id"] for row in rows})
    return [(user, [row for row in rows if row["user_id"] == user]) for user in users]


# ------------------------------------------------------------------------------------------------ what cannot be


async def test_without_events_nothing_is_made_and_it_is_said(closed: Shop) -> None:
    result = await closed.train()
    assert result["made"] == {}
    assert set(result["refused"]) == set(ModelKind)
    assert all("There are no events yet" in reason for reason in result["refused"].values())
    assert set((await closed.counts()).values()) == {0}


async def test_too_little_is_refused_kind_by_kind(closed: Shop) -> None:
    await closed.trade(sends=30)
    result = await closed.train()
    assert set(result["refused"]) == {"OFFER", "AFFINITY", "RESPONSE", "SEND_TIME"} - set(result["made"])
    assert {"OFFER", "AFFINITY", "RESPONSE"} <= set(result["refused"])
    assert all(reason.endswith((".", "!")) for reason in result["refused"].values())


async def test_one_kind_is_refused_and_the_others_are_made(shop: Shop) -> None:
    await shop.database.execute("UPDATE event SET offer_micros = 5000000, probability = NULL")
    result = await shop.train()
    assert set(result["made"]) == {"RESPONSE", "SEND_TIME", "AFFINITY"}
    assert "Insufficient variation" in result["refused"]["OFFER"]
    assert await shop.count("offer_curve") == 0


async def test_events_outside_the_window_and_after_now_are_not_seen(shop: Shop) -> None:
    await shop.train(ModelKind.SEND_TIME, until=NOW - timedelta(days=40))
    first = await shop.database.fetchrow("SELECT * FROM trained_model")
    assert first["window_end"] <= NOW - timedelta(days=40)
    inside = sum(
        event.type == "SENT" and event.occurred_at < first["window_end"] - timedelta(days=1) for event in shop.events
    )
    assert first["training_rows"] == pytest.approx(inside, abs=5)


async def test_old_history_is_learned_from_up_to_its_end(shop: Shop) -> None:
    shop.clock.advance(timedelta(days=1_000))
    result = await shop.train(ModelKind.SEND_TIME)
    assert set(result["made"]) == {"SEND_TIME"}


# ------------------------------------------------------------------------------------------------ again, and taken back


async def test_a_job_makes_a_version_once(shop: Shop) -> None:
    first = await shop.train(ModelKind.SEND_TIME, ModelKind.AFFINITY, job_id=41)
    before = await shop.counts()
    again = await shop.train(ModelKind.SEND_TIME, ModelKind.AFFINITY, job_id=41)
    assert again == first
    assert await shop.counts() == before
    other = await shop.train(ModelKind.AFFINITY, job_id=42)
    assert other["made"]["AFFINITY"]["version"] == 2


async def test_broken_off_between_two_kinds_the_rest_is_made_by_the_next_attempt(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = InlineCompute.run

    async def failing(self: InlineCompute, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function.__name__ == "learn_send_times":
            await asyncio.sleep(0.3)
            raise OSError("gone")
        return await real(self, function, *args, **kwargs)

    monkeypatch.setattr(InlineCompute, "run", failing)
    with pytest.raises(OSError, match="gone"):
        await shop.train(ModelKind.SEND_TIME, ModelKind.AFFINITY, job_id=5)
    assert await shop.served() == {"AFFINITY": 1}
    assert await shop.count("send_time_profile") == 0
    monkeypatch.setattr(InlineCompute, "run", real)
    result = await shop.train(ModelKind.SEND_TIME, ModelKind.AFFINITY, job_id=5)
    assert {kind: made["version"] for kind, made in result["made"].items()} == {"AFFINITY": 1, "SEND_TIME": 1}


async def test_a_version_that_cannot_be_stored_whole_is_not_stored(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.train(ModelKind.AFFINITY)
    before = await shop.counts(), await shop.served()
    await shop.database.execute("ALTER TABLE merchant_affinity ADD CONSTRAINT none CHECK (model_id < 0) NOT VALID")
    try:
        with pytest.raises(Exception, match="none"):
            await shop.train(ModelKind.AFFINITY)
    finally:
        await shop.database.execute("ALTER TABLE merchant_affinity DROP CONSTRAINT none")
    assert (await shop.counts(), await shop.served()) == before


async def test_two_at_once_make_two_versions(shop: Shop) -> None:
    results = await asyncio.gather(*(shop.train(ModelKind.AFFINITY) for _ in range(2)))
    assert sorted(result["made"]["AFFINITY"]["version"] for result in results) == [1, 2]
    assert await shop.served() == {"AFFINITY": 2}


async def test_old_versions_go_with_all_their_rows(shop: Shop) -> None:
    plan = Plan(outcome_days=3.0, keep=2)
    training = shop.training_by(plan)
    for _ in range(4):
        await training.train([ModelKind.AFFINITY], told=nobody)
    kept = await shop.database.fetch("SELECT id, version, active FROM trained_model ORDER BY version")
    assert [(row["version"], row["active"]) for row in kept] == [(3, False), (4, True)]
    rows = await shop.database.fetch("SELECT DISTINCT model_id FROM merchant_affinity ORDER BY 1")
    assert [row["model_id"] for row in rows] == [row["id"] for row in kept]


async def test_an_earlier_version_serves_again_and_stays_until_somebody_trains(shop: Shop) -> None:
    first = await shop.train(ModelKind.AFFINITY)
    await shop.train(ModelKind.AFFINITY)
    back = await shop.requests.activate(first["made"]["AFFINITY"]["id"], principal=COMMAND_LINE)
    assert (back.version, back.active) == (1, True)
    assert await shop.served() == {"AFFINITY": 1}
    entry = await shop.database.fetchrow("SELECT action, subject_id, before, after FROM audit_entry")
    assert (entry["action"], entry["subject_id"]) == ("model.activate", str(back.id))
    assert (entry["before"]["version"], entry["after"]["version"]) == (2, 1)
    by_night = await shop.train(ModelKind.AFFINITY)
    assert by_night["made"]["AFFINITY"] == {
        "id": by_night["made"]["AFFINITY"]["id"],
        "kind": "AFFINITY",
        "version": 3,
        "active": False,
    }
    assert await shop.served() == {"AFFINITY": 1}
    by_hand = await shop.train(ModelKind.AFFINITY, activate=True)
    assert by_hand["made"]["AFFINITY"]["active"]
    assert await shop.served() == {"AFFINITY": 4}


async def test_the_version_that_serves_is_never_dropped(shop: Shop) -> None:
    plan = Plan(outcome_days=3.0, keep=1)
    training = shop.training_by(plan)
    first = await training.train([ModelKind.AFFINITY], told=nobody)
    await training.train([ModelKind.AFFINITY], told=nobody, activate=False)
    await training.train([ModelKind.AFFINITY], told=nobody)
    versions = await shop.database.fetch("SELECT version FROM trained_model ORDER BY 1")
    assert [row["version"] for row in versions] == [1, 3]
    assert await shop.served() == {"AFFINITY": first["made"]["AFFINITY"]["version"]}


# ------------------------------------------------------------------------------------------------ ranked anew


async def places(shop: Shop) -> dict[int, int]:
    rows = await shop.database.fetch("SELECT campaign_id, count(*) FROM campaign_response GROUP BY 1")
    return {row["campaign_id"]: row["count"] for row in rows}


async def test_campaigns_that_came_and_went_are_ranked_by_the_model_there_is(shop: Shop) -> None:
    await shop.train(ModelKind.RESPONSE)
    assert set(await places(shop)) == {1, 2, 3, 4, 6}
    await shop.database.execute(
        "UPDATE campaign SET status = CASE id WHEN 5 THEN 'ACTIVE' WHEN 1 THEN 'PAUSED' ELSE status END"
    )
    assert await shop.training.rank_campaigns(told=nobody) == {"ranked": USERS * 5}
    assert await places(shop) == dict.fromkeys((2, 3, 4, 5, 6), USERS)
    assert await shop.served() == {"RESPONSE": 1}
    await shop.database.execute("UPDATE campaign SET status = 'ENDED'")
    assert await shop.training.rank_campaigns(told=nobody) == {"ranked": 0}
    assert await places(shop) == {}


async def test_ranked_with_nothing_changed_it_is_as_it_was(shop: Shop) -> None:
    await shop.train(ModelKind.RESPONSE)
    query = "SELECT user_id, rank, campaign_id, probability FROM campaign_response ORDER BY 1, 2"
    before = await shop.database.fetch(query)
    await shop.training.rank_campaigns(told=nobody)
    assert await shop.database.fetch(query) == before


async def test_what_a_campaign_changes_is_kept_when_campaigns_are_ranked_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.optimizer.segments.LEAST_HELD_OUT", 20)
    monkeypatch.setattr("app.optimizer.effects.LEAST_ARM", 20)
    await shop.database.execute(
        "UPDATE app_user SET created_at = '2026-01-01';"
        " INSERT INTO ab_test (id, key, name, seed, campaign_id, status, started_at, holdout) VALUES"
        " (1, 'half', 'Half', 's', 1, 'RUNNING', '2026-02-01', 0.5), (2, 'few', 'Few', 's', 2, 'RUNNING',"
        " '2026-04-09', 0.3)"
    )
    await shop.train(ModelKind.RESPONSE)
    query = "SELECT campaign_id, user_id, effect, low, high, evidence FROM campaign_effect ORDER BY campaign_id"
    rows = await shop.database.fetch(query)
    assert [(row["campaign_id"], row["user_id"]) for row in rows] == [(1, None), (2, None)]
    evidence = rows[0]["evidence"]
    assert evidence["treated"] + evidence["control"] == USERS
    assert evidence["compared"].startswith("users of half with those it held out")
    assert all(row["low"] < row["effect"] < row["high"] for row in rows)
    await shop.training.rank_campaigns(told=nobody)
    assert await shop.database.fetch(query) == rows
    assert (await LearnedStore(shop.database).responses([1]))[1][1].effect is not None


async def test_where_chance_left_nobody_out_it_is_said(shop: Shop) -> None:
    await shop.train(ModelKind.RESPONSE)
    assert await shop.count("campaign_effect") == 0
    assert "chance left nobody out" in (await LearnedStore(shop.database).effect_refusals([1]))[1]


async def test_without_a_model_nothing_is_ranked(closed: Shop) -> None:
    assert (await closed.training.rank_campaigns(told=nobody))["ranked"] == 0


async def test_a_response_model_gone_back_to_ranks_what_is_live_now(shop: Shop) -> None:
    first = await shop.train(ModelKind.RESPONSE)
    await shop.train(ModelKind.RESPONSE)
    await shop.requests.activate(first["made"]["RESPONSE"]["id"], principal=COMMAND_LINE)
    assert await shop.database.fetchval("SELECT kind FROM job") == "rank_campaigns"


async def test_a_ranking_of_a_version_that_serves_no_more_is_dropped(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.train(ModelKind.RESPONSE)
    real = InlineCompute.run

    async def overtaken(self: InlineCompute, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        result = await real(self, function, *args, **kwargs)
        if function.__name__ == "rank_again":
            await shop.database.execute("UPDATE trained_model SET active = false")
        return result

    before = await shop.count("campaign_response")
    await shop.database.execute("UPDATE campaign SET status = 'ENDED'")
    monkeypatch.setattr(InlineCompute, "run", overtaken)
    assert await shop.training.rank_campaigns(told=nobody) == {"ranked": 0}
    assert await shop.count("campaign_response") == before


# ------------------------------------------------------------------------------------------------ asked for


async def test_asking_queues_one_job_however_often(closed: Shop) -> None:
    job = await closed.requests.request(principal=COMMAND_LINE)
    again = await closed.requests.request(list(ModelKind), principal=COMMAND_LINE)
    other = await closed.requests.request([ModelKind.OFFER], principal=COMMAND_LINE)
    assert (job.kind, job.status) == ("train", JobStatus.QUEUED)
    assert again.id == job.id != other.id
    arguments = await closed.database.fetchval("SELECT arguments FROM job WHERE id = $1", other.id)
    assert arguments == {"kinds": ["OFFER"], "activate": True}
    await closed.requests.schedule()
    assert await closed.count("job") == 2


async def test_a_job_is_queued_with_its_audit_entry_or_not_at_all(
    closed: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await closed.requests.request([ModelKind.OFFER], principal=COMMAND_LINE)
    assert await closed.count("audit_entry") == await closed.count("job") == 1

    async def failing(*_: object, **__: object) -> None:
        raise OSError("no room on the disk")

    monkeypatch.setattr(Audit, "record", failing)
    with pytest.raises(OSError, match="no room"):
        await closed.requests.request(principal=COMMAND_LINE)
    assert await closed.count("job") == 1
    assert await closed.count("job_queue") == 1


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_an_admin_trains_and_activates(closed: Shop, role: Role) -> None:
    principal = Principal(1, "somebody", role)
    with pytest.raises(NotAllowed):
        await closed.requests.request(principal=principal)
    with pytest.raises(NotAllowed):
        await closed.requests.activate(1, principal=principal)
    assert (await closed.count("job"), await closed.count("audit_entry")) == (0, 0)


async def test_a_version_that_is_not_there(closed: Shop) -> None:
    with pytest.raises(DomainErrors, match="No version of a model has this id"):
        await closed.requests.activate(12, principal=COMMAND_LINE)
    assert await closed.count("audit_entry") == 0
