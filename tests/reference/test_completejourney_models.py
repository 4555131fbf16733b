"""What models make of the Complete Journey, through import, training and the graph."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.store.database import Database

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "import-completejourney"
FOLDER = Path(os.environ.get("WINNOW_COMPLETEJOURNEY", ROOT.parent / "shared" / "data" / "completejourney"))
MODELS = "models { kind active trainingRows scores refusals }"
CAMPAIGNS = """campaigns(first: 100) { nodes { key offerRecommendation { amount } offerRefusal segmentRanking { rank }
    recommendations { id } } } recommendations { totalCount }"""
MERCHANTS = """affinities(first: 3) { merchant { key } score rank evidence reasons }
    recommendedCampaigns { campaign { key } } assignments { totalCount }"""
ASKED = f"query ($user: ID!) {{ {MODELS} {CAMPAIGNS} user(id: $user) {{ {MERCHANTS} }} }}"
HOUR = "query ($user: ID!) { user(id: $user) { sendTime { hour } } }"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (FOLDER / "transactions.parquet").is_file(),
        reason=f"the Complete Journey is not in {FOLDER}; WINNOW_COMPLETEJOURNEY says where else",
    ),
]


KNOWN_USER = """
    SELECT u.external_id FROM app_user u JOIN merchant_affinity a ON a.user_id = u.id ORDER BY a.score DESC LIMIT 1
"""


class Answers:
    """What a server answered: to everything, to the hour, and of its training."""

    def __init__(self, message: str, everything: dict[str, Any], hour: dict[str, Any]) -> None:
        self.message = message
        self.everything = everything
        self.hour = hour


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def answers(new_database, serve) -> Answers:
    """What a server answers of the Complete Journey, which the script brought in and whose models its worker trained.

    A year is learned from: 90 days have 5 redemptions held out. Asked for the household surest to come to a store.
    """
    url = await new_database()
    environment = {**os.environ, "DATABASE_URL": url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [str(SCRIPT), str(FOLDER)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)  # noqa: ASYNC221
    assert done.returncode == 0, done.stderr
    database = await Database.open(url, default=False)
    with serve(url, WINNOW_MAX_QUERY_COMPLEXITY="1000000", WINNOW_TRAINING_DAYS="365") as running:
        async with httpx.AsyncClient(base_url=running.url, headers=running.headers, timeout=60) as client:
            message = await _trained(client)
            user = {"user": await database.fetchval(KNOWN_USER)}
            everything = await client.post("/graphql", json={"query": ASKED, "variables": user})
            hour = await client.post("/graphql", json={"query": HOUR, "variables": user})
    await database.close()
    return Answers(message, everything.json(), hour.json())


async def _trained(client: httpx.AsyncClient) -> str:
    made = await client.post("/graphql", json={"query": "mutation { trainModels { job { id } } }"})
    job = made.json()["data"]["trainModels"]["job"]["id"]
    asked = {"query": "query ($id: ID!) { job(id: $id) { status error message } }", "variables": {"id": job}}
    for _ in range(1_200):
        found = (await client.post("/graphql", json=asked)).json()["data"]["job"]
        if found["status"] not in ("QUEUED", "RUNNING"):
            assert found["status"] == "SUCCEEDED", found
            return found["message"]
        await asyncio.sleep(0.25)
    raise AssertionError("training does not end")


@pytest.fixture(scope="module")
def data(answers: Answers) -> dict[str, Any]:
    assert "errors" not in answers.everything, answers.everything
    return answers.everything["data"]


async def test_stores_are_foretold_nearly_as_well_as_by_an_oracle_of_past_visits(data: dict[str, Any]) -> None:
    [affinity] = [model for model in data["models"] if model["kind"] == "AFFINITY"]
    assert affinity["active"]
    assert affinity["scores"]["recall_at_3"] > affinity["scores"]["recall_at_3_by_own_visits"] - 0.01
    assert affinity["scores"]["recall_at_3"] > 0.8 > 0.1 > affinity["scores"]["recall_at_3_by_popularity"]


async def test_redemptions_are_foretold_better_than_by_one_rate(data: dict[str, Any]) -> None:
    [response] = [model for model in data["models"] if model["kind"] == "RESPONSE"]
    assert response["scores"]["active"]["log_loss"] < response["scores"]["log_loss_by_one_rate"]
    assert response["scores"]["active"]["auc"] > 0.7


async def test_a_household_has_its_stores(data: dict[str, Any]) -> None:
    affinities = data["user"]["affinities"]
    assert [one["rank"] for one in affinities] == [1, 2, 3]
    assert {one["evidence"] for one in affinities} == {"USER"}
    assert all(one["merchant"]["key"].startswith("store-") for one in affinities)
    assert affinities[0]["reasons"][0] == "visited before, and lately"


async def test_what_the_data_cannot_bear_is_refused_and_said(answers: Answers, data: dict[str, Any]) -> None:
    assert "send time: not trained. There are 0 opens" in answers.message
    assert "offer: not trained. Insufficient variation" in answers.message
    assert answers.hour["errors"][0]["extensions"]["code"] == "NOT_ENOUGH_DATA"
    assert len(data["campaigns"]["nodes"]) == 27
    assert all(one["offerRecommendation"] is None for one in data["campaigns"]["nodes"])
    assert all(one["segmentRanking"] == [] for one in data["campaigns"]["nodes"]), "nobody was left out by lot"


async def test_campaigns_that_have_ended_are_not_recommended_and_nothing_is_advised(data: dict[str, Any]) -> None:
    assert data["user"]["recommendedCampaigns"] == []
    assert data["recommendations"]["totalCount"] == 0
