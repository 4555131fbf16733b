"""The demo's world end to end: trained by a worker of a real server, then asked for everything."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.commands.demo import loading_of
from app.store.database import Database

pytestmark = pytest.mark.slow

SIZE = 0.3
TRAIN = "mutation { trainModels { job { id } errors { message } } }"
JOB = "query ($id: ID!) { job(id: $id) { status error message progress } }"
EVERYTHING = """query ($user: ID!) {
    models { kind version trainedAt trainingRows seconds scores featureImportances active refusals }
    recommendations(first: 100) { totalCount nodes {
        id kind title rationale evidence createdAt campaign { key } test { key } expectedGain { point low high } } }
    campaigns(first: 100) { nodes { key status
        offerRecommendation { amount low high expectedConversionRate expectedProfitPerUser evidence
            curve { amount conversionRate { point low high } profitPerUser { point low high } } }
        offerRefusal segmentRanking { segment rank expectedLift { point low high } reasons }
        recommendations { id kind } } }
    user(id: $user) { segment
        sendTime { hour timezone openProbability interval { point low high } evidence byHour sends reasons nextAt }
        affinities(first: 5) { merchant { key } score rank distanceKm evidence reasons }
        recommendedCampaigns(first: 5) { campaign { key status } score rank distanceKm evidence reasons }
        assignments { totalCount nodes { test { key } variant { key } probability policyVersion } } }
}"""


KNOWN_USER = """
    SELECT u.external_id FROM app_user u JOIN merchant_affinity a ON a.user_id = u.id WHERE u.latitude IS NOT NULL
    ORDER BY u.id LIMIT 1
"""


class Asking:
    user: str

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, query: str, **variables: Any) -> dict[str, Any]:
        response = await self._client.post("/graphql", json={"query": query, "variables": variables})
        body = response.json()
        assert "errors" not in body, body
        return body["data"]

    async def finished(self, job: str) -> dict[str, Any]:
        for _ in range(1_200):
            found = (await self(JOB, id=job))["job"]
            if found["status"] not in ("QUEUED", "RUNNING"):
                return found
            await asyncio.sleep(0.25)
        raise AssertionError(f"{job} does not end")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asking(new_database, serve) -> AsyncIterator[Asking]:
    """A server on the demo's world, whose worker has trained every kind and then made advice."""
    url = await new_database()
    database = await Database.open(url, default=False)
    with database.models():
        await loading_of(database).load(size=SIZE)
    with serve(url) as running:
        async with httpx.AsyncClient(base_url=running.url, headers=running.headers, timeout=60) as client:
            asking = Asking(client)
            job = (await asking(TRAIN))["trainModels"]["job"]["id"]
            trained = await asking.finished(job)
            assert trained["status"] == "SUCCEEDED", trained
            # the schedule may have asked for advice before there was anything to advise: the last one counts
            advice = await database.fetchval("SELECT max(id) FROM job WHERE kind = 'advise'")
            advised = await asking.finished(f"job_{advice}")
            assert advised["status"] == "SUCCEEDED", advised
            asking.user = await database.fetchval(KNOWN_USER)
            yield asking
    await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def everything(asking: Asking) -> dict[str, Any]:
    return await asking(EVERYTHING, user=asking.user)


async def test_every_kind_has_an_active_version(everything: dict[str, Any]) -> None:
    active = {model["kind"] for model in everything["models"] if model["active"]}
    assert active == {"RESPONSE", "OFFER", "SEND_TIME", "AFFINITY"}
    assert all(model["scores"] for model in everything["models"])


async def test_amounts_where_amounts_were_tried_and_else_why_not(everything: dict[str, Any]) -> None:
    campaigns = everything["campaigns"]["nodes"]
    advised = [one for one in campaigns if one["offerRecommendation"]]
    assert advised
    for campaign in advised:
        offer = campaign["offerRecommendation"]
        assert float(offer["low"]) <= float(offer["amount"]) <= float(offer["high"])
        amounts = [float(point["amount"]) for point in offer["curve"]]
        assert amounts == sorted(amounts)
        rates = [point["conversionRate"]["point"] for point in offer["curve"]]
        assert rates == sorted(rates), "conversion never falls with the amount"
        assert campaign["offerRefusal"] is None
    refused = [one["offerRefusal"] for one in campaigns if one["offerRefusal"]]
    assert refused
    assert all("variation" in reason or "worth" in reason for reason in refused)


async def test_the_hour_is_one_at_which_something_was_sent(everything: dict[str, Any]) -> None:
    found = everything["user"]["sendTime"]
    assert found["hour"] not in (1, 2, 3, 4)  # the world sends nothing then
    assert found["interval"]["low"] <= found["openProbability"] <= found["interval"]["high"]
    assert max(found["byHour"]) == pytest.approx(found["openProbability"], abs=1e-5)
    assert found["evidence"] in ("USER", "SEGMENT")
    assert found["sends"] > 0


async def test_merchants_and_live_offers_of_a_user(everything: dict[str, Any]) -> None:
    user = everything["user"]
    assert [one["rank"] for one in user["affinities"]] == [1, 2, 3, 4, 5]
    scores = [one["score"] for one in user["affinities"]]
    assert scores == sorted(scores, reverse=True)
    assert all(one["distanceKm"] is not None and one["reasons"] for one in user["affinities"])
    offers = user["recommendedCampaigns"]
    assert len(offers) == 5
    assert {one["campaign"]["status"] for one in offers} == {"ACTIVE"}
    assert all(one["reasons"] for one in offers)


async def test_advice_stands_with_its_figures(everything: dict[str, Any], asking: Asking) -> None:
    advice = everything["recommendations"]["nodes"]
    assert everything["recommendations"]["totalCount"] == len(advice)
    assert {"OFFER_AMOUNT", "START_TEST"} & {one["kind"] for one in advice}
    assert all(one["title"] and one["rationale"] and one["evidence"] for one in advice)
    for one in advice:
        gain = one["expectedGain"]
        assert gain is None or gain["low"] <= gain["point"] <= gain["high"]
    of_campaigns = [row["id"] for one in everything["campaigns"]["nodes"] for row in one["recommendations"]]
    assert sorted(of_campaigns) == sorted(one["id"] for one in advice if one["campaign"])


async def test_a_user_that_was_never_seen_starts_cold_and_is_told_so(asking: Asking) -> None:
    made = await asking(
        'mutation { upsertUsers(users: [{externalId: "newcomer", segment: "loyal", timezone: "Europe/Zurich",'
        " latitude: 47.37, longitude: 8.54}]) { created } }"
    )
    assert made["upsertUsers"]["created"] == 1
    user = (await asking(EVERYTHING, user="newcomer"))["user"]
    assert user["sendTime"]["evidence"] in ("SEGMENT", "GLOBAL")
    assert user["sendTime"]["timezone"] == "Europe/Zurich"
    assert {one["evidence"] for one in user["affinities"]} == {"GLOBAL"}
    assert user["affinities"][0]["merchant"]["key"] in ("cafe-ase", "velo-zuri"), "popular, and in the same town"
    assert {one["evidence"] for one in user["recommendedCampaigns"]} == {"GLOBAL"}
    assert user["assignments"]["totalCount"] == 0
