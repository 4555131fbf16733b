"""Bandits in the graph: a step at once, three estimators side by side, and who may do what."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from app.auth.principals import Principal, Role
from app.ingestion.batches import read_mappings
from graph.context import Services

type Ask = Callable[..., Awaitable[dict[str, Any]]]

CREATE = """mutation ($input: CreateTestInput!) { createTest(input: $input) { test { id } errors { message } } }"""
START = """mutation ($at: DateTime) { startTest(id: "spring", at: $at) { test { id } errors { message } } }"""
REALLOCATE = """mutation ($id: ID!) { reallocate(testId: $id) {
    allocation { policyVersion policy floor shares { variant { key } probability } } errors { code message path } } }"""
ADAPTIVE = """{ test(id: "spring") { adaptive { units openUnits policyVersions estimates {
    estimator warning unavailable
    values { variant { key } value { point low high } }
    differences { variant { key } difference { point low high } pValue } } } } }"""
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


async def start(ask: Ask, policy: str = "THOMPSON") -> None:
    given = {
        "key": "spring",
        "name": "Spring",
        "variants": [{"key": "a", "weight": 0.5, "isControl": True}, {"key": "b", "weight": 0.5}],
        "metric": {"key": "converted", "kind": "CONVERSION", "event": "CONVERTED"},
        "allocationPolicy": policy,
    }
    assert (await ask(CREATE, input=given))["data"]["createTest"]["errors"] == []
    assert (await ask(START, at=LONG_AGO.isoformat()))["data"]["startTest"]["errors"] == []


async def units(services: Services, at: datetime, version: int = 1, **converted: tuple[int, int]) -> None:
    """Units exposed at one time, by variant: how many, and how many of them converted an hour later."""
    exposures: list[dict[str, Any]] = []
    outcomes: list[dict[str, Any]] = []
    for variant, (exposed, successes) in converted.items():
        for number in range(exposed):
            user = f"{variant}-{at:%d%H}-{number}"
            exposure = {"userId": user, "id": f"e-{user}", "type": "EXPOSED", "testId": "spring", "occurredAt": at}
            exposures.append(exposure | {"variantKey": variant, "policyVersion": version})
            if number < successes:
                later = at + timedelta(hours=1)
                outcomes.append({"userId": user, "id": f"c-{user}", "type": "CONVERTED", "occurredAt": later})
    receipt = await services.ingestion.record(read_mappings([*exposures, *outcomes]))
    assert receipt.rejected == ()


async def test_reallocate_answers_the_new_shares(ask: Ask, services: Services) -> None:
    await start(ask)
    await units(services, LONG_AGO + timedelta(days=1), a=(100, 10), b=(100, 30))
    payload = (await ask(REALLOCATE, id="spring"))["data"]["reallocate"]
    allocation = payload["allocation"]
    assert payload["errors"] == []
    assert (allocation["policyVersion"], allocation["policy"], allocation["floor"]) == (2, "THOMPSON", 0.1)
    shares = {share["variant"]["key"]: share["probability"] for share in allocation["shares"]}
    assert shares["b"] == pytest.approx(0.9, abs=1e-3)
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(("policy", "code"), [("FIXED", "INVALID_TRANSITION")])
async def test_what_cannot_be_reallocated_is_refused_in_the_payload(ask: Ask, policy: str, code: str) -> None:
    await start(ask, policy)
    payload = (await ask(REALLOCATE, id="spring"))["data"]["reallocate"]
    assert payload["allocation"] is None
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [(code, ["testId"])]
    unknown = (await ask(REALLOCATE, id="none"))["data"]["reallocate"]
    assert [error["code"] for error in unknown["errors"]] == ["NOT_FOUND"]
    history = await ask("""{ test(id: "spring") { allocationHistory { totalCount } adaptive { units } } }""")
    assert history["data"]["test"] == {"allocationHistory": {"totalCount": 1}, "adaptive": None}


async def test_a_client_may_not_reallocate(ask: Ask) -> None:
    await start(ask)
    answer = await ask(REALLOCATE, id="spring", by=Principal(2, "app", Role.CLIENT))
    assert "NOT_ALLOWED" in str(answer)
    history = await ask("""{ test(id: "spring") { allocationHistory { totalCount } } }""")
    assert history["data"]["test"]["allocationHistory"]["totalCount"] == 1


async def test_three_estimators_stand_side_by_side(ask: Ask, services: Services, clean_database: Any) -> None:
    await start(ask)
    await units(services, LONG_AGO + timedelta(days=1), a=(200, 20), b=(200, 40))
    await clean_database.execute(
        "INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, created_at) "
        "SELECT id, 2, 'THOMPSON', 0.1, '[0.2, 0.8]', $1 FROM ab_test",
        LONG_AGO + timedelta(days=2),
    )
    await units(services, LONG_AGO + timedelta(days=3), version=2, a=(80, 4), b=(320, 64))
    await units(services, datetime.now(UTC) - timedelta(hours=2), version=2, a=(10, 9))  # open: not counted yet

    adaptive = (await ask(ADAPTIVE))["data"]["test"]["adaptive"]

    assert (adaptive["units"], adaptive["openUnits"], adaptive["policyVersions"]) == (800, 10, 2)
    by = {one["estimator"]: one for one in adaptive["estimates"]}
    assert list(by) == ["NAIVE", "IPW", "AW_AIPW"]
    assert [bool(one["warning"]) for one in by.values()] == [True, False, False]
    points = {name: [one["value"]["point"] for one in estimate["values"]] for name, estimate in by.items()}
    assert points["NAIVE"] == pytest.approx([24 / 280, 104 / 520])
    assert points["IPW"] == pytest.approx([(20 / 0.5 + 4 / 0.2) / 800, (40 / 0.5 + 64 / 0.8) / 800])
    # Hadad and others (2021), eqs 5, 11 and 15, unit by unit
    assert points["AW_AIPW"][1] == pytest.approx(_aw_aipw_of_b())
    assert all(one["differences"][0]["variant"]["key"] == "b" for one in by.values())


def _aw_aipw_of_b() -> float:
    """Two batches of 400: constant allocation rates, scores with the mean of the batch before."""
    share, units_left = np.array([0.5, 0.8]), np.array([400.0, 400.0])
    sums, pulls, before = np.array([40.0, 64.0]), np.array([200.0, 320.0]), np.array([0.0, 0.2])
    scores = before * units_left + (sums - pulls * before) / share
    # per unit: h_t^2 / p_t is what is left of one times the rate 1 / (T - t + 1); constant within a batch
    left, weights = 1.0, []
    for batch in range(2):
        rate = units_left[batch] / units_left[batch:].sum()
        weights.append(np.sqrt(left * rate / units_left[batch] * share[batch]))
        left *= 1 - rate
    h = np.array(weights)
    return float((h * scores).sum() / (h * units_left).sum())


async def test_without_closed_windows_it_says_what_to_wait_for(ask: Ask) -> None:
    await start(ask)
    adaptive = (await ask(ADAPTIVE))["data"]["test"]["adaptive"]
    assert adaptive["units"] == 0
    assert all("window" in one["unavailable"] for one in adaptive["estimates"])
