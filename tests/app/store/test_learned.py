"""What is served of models: whose row answers, and by which indexes it is found."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from app.store import learned
from app.store.database import Database
from app.store.learned import LearnedStore, SendTimeRow, SendTimeRows
from app.store.models.codes import Evidence, ModelKind
from engine.effects import IntervalEstimate

FILLING = [
    """
    INSERT INTO trained_model (kind, version, training_rows, seconds, scores, active)
    SELECT kind, version, 1, 1, '{}', version = 2
    FROM unnest(ARRAY['AFFINITY', 'RESPONSE', 'SEND_TIME']) kind, generate_series(1, 3) version
    """,
    """
    INSERT INTO send_time_profile (model_id, user_id, hour, sends, open_probability, low, high, by_hour)
    SELECT m.id, u, m.version, 9, 0.3, 0.2, 0.4, '[]' FROM trained_model m, generate_series(1, 3000) u
    WHERE kind = 'SEND_TIME'
    """,
    """
    INSERT INTO send_time_profile (model_id, segment, hour, sends, open_probability, low, high, by_hour)
    SELECT m.id, 's' || s, 10 + m.version, s, 0.3, 0.2, 0.4, '[]' FROM trained_model m, generate_series(1, 300) s
    WHERE kind = 'SEND_TIME'
    """,
    """
    INSERT INTO send_time_profile (model_id, hour, sends, open_probability, low, high, by_hour)
    SELECT id, 20 + version, 9999, 0.3, 0.2, 0.4, '[]' FROM trained_model WHERE kind = 'SEND_TIME'
    """,
    """
    INSERT INTO merchant_affinity (model_id, user_id, merchant_id, rank, score, reasons)
    SELECT m.id, nullif(u, 0), r, r, 1.0 / r, '[]'
    FROM trained_model m, generate_series(0, 1000) u, generate_series(1, 10) r WHERE kind = 'AFFINITY'
    """,
    """
    INSERT INTO campaign_response (model_id, user_id, campaign_id, rank, probability)
    SELECT m.id, u, r, r, 0.1 * m.version FROM trained_model m, generate_series(1, 1000) u, generate_series(1, 9) r
    WHERE kind = 'RESPONSE'
    """,
]


@pytest_asyncio.fixture
async def store(clean_database: Database) -> LearnedStore:
    for statement in FILLING:
        await clean_database.execute(statement)
    for table in ("trained_model", "send_time_profile", "merchant_affinity", "campaign_response"):
        await clean_database.execute(f"ANALYZE {table}")
    return LearnedStore(clean_database)


async def test_of_each_kind_the_active_version_answers(store: LearnedStore) -> None:
    rows = await store.send_times([7, 8], ["s1"])
    assert (rows.by_user[7].hour, rows.by_segment["s1"].hour) == (2, 12)
    assert rows.everyone is not None
    assert rows.everyone.hour == 22
    profiles = await store.send_time_profiles()
    assert [profiles[0].segment, profiles[1].segment, len(profiles)] == [None, "s300", 301]
    found = await store.affinities([7], 3)
    assert [(row.merchant_id, row.rank) for row in found[7]] == [(1, 1), (2, 2), (3, 3)]
    assert len(found[None]) == 3
    responses = await store.responses([7])
    assert responses[7][4].probability == pytest.approx(0.2)
    assert [row.version for row in await store.models(ModelKind.AFFINITY)] == [3, 2, 1]


async def test_without_an_active_version_nothing_answers(store: LearnedStore, clean_database: Database) -> None:
    await clean_database.execute("UPDATE trained_model SET active = false")
    rows = await store.send_times([7], ["s1"])
    assert (rows.by_user, rows.by_segment, rows.everyone) == ({}, {}, None)
    assert await store.affinities([7], 3) == {}
    assert await store.responses([7]) == {}


async def test_a_users_own_effect_comes_before_the_campaigns_average(
    store: LearnedStore, clean_database: Database
) -> None:
    await clean_database.execute(
        "INSERT INTO campaign_effect (model_id, user_id, campaign_id, effect, low, high, evidence)"
        " SELECT id, u, 4, 0.1 * version + coalesce(u, 0), 0, 99,"
        "        CASE WHEN u IS NULL THEN '{\"told_apart\": true}'::jsonb END"
        " FROM trained_model, unnest(ARRAY[NULL, 7]) u WHERE kind = 'RESPONSE'"
    )
    found = await store.responses([7, 8])
    assert found[7][4].effect == IntervalEstimate(point=pytest.approx(7.2), low=0, high=99)
    assert found[8][4].effect == IntervalEstimate(point=pytest.approx(0.2), low=0, high=99)
    assert found[7][5].effect is None
    [average] = (await store.effects([4, 5])).values()
    assert (average.campaign_id, average.effect.point) == (4, pytest.approx(0.2))
    assert average.evidence == {"told_apart": True}


async def test_why_an_effect_is_not_known_is_said(store: LearnedStore, clean_database: Database) -> None:
    await clean_database.execute(
        "UPDATE trained_model SET refusals ="
        ' \'[{"campaign_id": 4, "reason": "Too few.", "of": "effect"}, {"campaign_id": 4, "reason": "Of segments."}]\''
    )
    await clean_database.execute(
        "INSERT INTO campaign_effect (model_id, campaign_id, effect, low, high)"
        " SELECT id, 6, 0, 0, 0 FROM trained_model WHERE kind = 'RESPONSE'"
    )
    assert await store.effect_refusals([4, 5, 6]) == {4: "Too few.", 5: learned.NO_CONTROL}
    assert await store.refusals(ModelKind.RESPONSE, [4, 5]) == {4: "Of segments."}
    await clean_database.execute("UPDATE trained_model SET active = false")
    assert await store.effect_refusals([4, 5, 6]) == {}


ASKED: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "send times": (learned.SEND_TIMES, ([7], ["s1"]), "send_time_profile"),
    "affinities": (learned.AFFINITIES, ([7], 100), "merchant_affinity"),
    "responses": (learned.RESPONSES, ([7],), "campaign_response"),
}


@pytest.mark.parametrize("name", ASKED)
async def test_users_rows_are_found_by_an_index(store: LearnedStore, clean_database: Database, name: str) -> None:
    del store
    query, arguments, table = ASKED[name]
    [[plan]] = await clean_database.fetch(f"EXPLAIN (FORMAT JSON) {query}", *arguments)
    nodes = list(nodes_in(plan if isinstance(plan, list) else json.loads(plan)))
    of_table = [node["Node Type"] for node in nodes if node.get("Relation Name") == table]
    assert of_table
    assert "Seq Scan" not in of_table


def nodes_in(plan: Any):
    if isinstance(plan, list):
        for part in plan:
            yield from nodes_in(part)
    elif isinstance(plan, dict):
        yield plan
        for part in plan.values():
            if isinstance(part, dict | list):
                yield from nodes_in(part)


def row(hour: int) -> SendTimeRow:
    return SendTimeRow(
        user_id=None,
        segment=None,
        hour=hour,
        day_of_week=None,
        sends=1,
        open_probability=0.3,
        low=0.2,
        high=0.4,
        by_hour=[],
        evidence=Evidence.GLOBAL,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_the_narrowest_row_answers() -> None:
    rows = SendTimeRows(by_user={1: row(1)}, by_segment={"vip": row(2)}, everyone=row(3))
    found = [rows.of(1, "vip"), rows.of(2, "vip"), rows.of(2, "new"), rows.of(2, None)]
    assert [one and one.hour for one in found] == [1, 2, 3, 3]
    assert SendTimeRows(by_user={}, by_segment={}, everyone=None).of(1, "vip") is None
