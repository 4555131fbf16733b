"""What models say of campaigns, the models themselves, and the list of what is advised."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.auth.principals import Principal, Role

CAMPAIGN = """query ($id: ID!) { campaign(id: $id) {
    offerRecommendation {
        campaign { key } amount low high expectedConversionRate expectedProfitPerUser evidence createdAt
        curve { amount conversionRate { point low high } profitPerUser { point low high } } }
    offerRefusal
    segmentRanking { segment rank expectedLift { point low high } reasons } segmentRefusal
    recommendations { id kind title campaign { key } expectedGain { point low high } } } }"""
RECOMMENDATIONS = """query ($first: Int, $after: String, $kind: RecommendationKind, $campaign: ID) {
    recommendations(first: $first, after: $after, kind: $kind, campaignId: $campaign) {
        totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
        edges { cursor node { id kind title rationale evidence createdAt
            expectedGain { point low high } campaign { key } test { key } } } } }"""
MODELS = """query ($kind: ModelKind) { models(kind: $kind) {
    id kind version trainedAt trainingRows seconds scores featureImportances active refusals windowStart windowEnd
} }"""


async def campaign(data, key: str = "of-a") -> dict[str, Any]:
    return (await data(CAMPAIGN, id=key))["campaign"]


async def recommendations(data, **given: Any) -> dict[str, Any]:
    return (await data(RECOMMENDATIONS, **given))["recommendations"]


async def test_before_training_a_campaign_has_none_of_it(data, shops) -> None:
    assert await campaign(data) == {
        "offerRecommendation": None,
        "offerRefusal": None,
        "segmentRanking": [],
        "segmentRefusal": None,
        "recommendations": [],
    }


async def test_the_amount_with_its_curve(data, learned, shops) -> None:
    model = await learned.model("OFFER", refusals=[{"campaign_id": 2, "reason": "Insufficient variation."}])
    await learned.curve(model, 1)
    found = (await campaign(data))["offerRecommendation"]
    assert found["campaign"] == {"key": "of-a"}
    assert (found["amount"], found["low"], found["high"]) == ("5.00", "4.00", "6.00")
    assert (found["expectedConversionRate"], found["expectedProfitPerUser"]) == (0.1, "2.34")
    assert [point["amount"] for point in found["curve"]] == ["2.50", "5.00"]
    assert found["curve"][1]["profitPerUser"] == {"point": 2.0, "low": 1.5, "high": 3.0}
    assert found["curve"][0]["conversionRate"] == {"point": 0.1, "low": 0.05, "high": 0.2}
    assert found["evidence"] == "tried"
    refused = await campaign(data, "of-b")
    assert (refused["offerRecommendation"], refused["offerRefusal"]) == (None, "Insufficient variation.")


async def test_segments_best_first(data, learned, shops) -> None:
    model = await learned.model("RESPONSE", refusals=[{"campaign_id": 2, "reason": "No more than chance."}])
    await learned.segment(model, 1, "new", 2, 0.01)
    await learned.segment(model, 1, "vip", 1, 0.03)
    await learned.segment(model, 1, "", 3, 0.0)
    found = (await campaign(data))["segmentRanking"]
    assert [(one["segment"], one["rank"]) for one in found] == [("vip", 1), ("new", 2), ("(none)", 3)]
    assert found[0]["expectedLift"] == pytest.approx({"point": 0.03, "low": 0.02, "high": 0.04})
    assert found[0]["reasons"] == ["a holdout says so"]
    refused = await campaign(data, "of-b")
    assert (refused["segmentRanking"], refused["segmentRefusal"], refused["offerRefusal"]) == (
        [],
        "No more than chance.",
        None,
    )


EFFECT = """query Effect($key: ID!) { campaign(id: $key) {
    sendingEffect { average { point low high } toldApart compared treated control reasons }
    sendingEffectRefusal } }"""


async def test_what_sending_changes_or_why_it_is_not_known(data, learned, shops) -> None:
    nothing = {"sendingEffect": None, "sendingEffectRefusal": None}
    assert (await data(EFFECT, key="of-a"))["campaign"] == nothing
    refusals = [{"campaign_id": 2, "reason": "Too few.", "of": "effect"}]
    await learned.effect(await learned.model("RESPONSE", refusals=refusals), 1, 0.03)
    told = (await data(EFFECT, key="of-a"))["campaign"]
    assert told["sendingEffectRefusal"] is None
    assert told["sendingEffect"].pop("average") == pytest.approx({"point": 0.03, "low": 0.02, "high": 0.04})
    assert told["sendingEffect"] == {
        "toldApart": False,
        "compared": "A with B",
        "treated": 900,
        "control": 100,
        "reasons": ["Why."],
    }
    assert (await data(EFFECT, key="of-b"))["campaign"]["sendingEffectRefusal"] == "Too few."
    assert "chance left nobody out" in (await data(EFFECT, key="of-c"))["campaign"]["sendingEffectRefusal"]


async def test_activating_an_earlier_version_brings_its_rows_back(data, learned, shops, clean_database) -> None:
    first = await learned.model("OFFER", version=1, active=False)
    second = await learned.model("OFFER", version=2)
    await learned.curve(first, 1, "3.00")
    await learned.curve(second, 1, "8.00")
    assert (await campaign(data))["offerRecommendation"]["amount"] == "8.00"
    await clean_database.execute("UPDATE trained_model SET active = false WHERE id = $1", second)
    await clean_database.execute("UPDATE trained_model SET active = true WHERE id = $1", first)
    assert (await campaign(data))["offerRecommendation"]["amount"] == "3.00"


async def test_models_newest_first_by_kind(data, learned, shops) -> None:
    await learned.model("OFFER", version=1, active=False)
    await learned.model("OFFER", version=2, refusals=[{"campaign_id": 1, "reason": "no"}])
    await learned.model("AFFINITY")
    found = (await data(MODELS))["models"]
    assert [(one["kind"], one["version"], one["active"]) for one in found] == [
        ("AFFINITY", 1, True),
        ("OFFER", 2, True),
        ("OFFER", 1, False),
    ]
    assert found[1] == {
        "id": "mod_2",
        "kind": "OFFER",
        "version": 2,
        "trainedAt": "2026-01-01T00:00:00Z",
        "trainingRows": 1000,
        "seconds": 1.5,
        "scores": {"auc": 0.8},
        "featureImportances": {"recency": 0.1},
        "active": True,
        "refusals": [{"campaign_id": 1, "reason": "no"}],
        "windowStart": None,
        "windowEnd": None,
    }
    assert [one["kind"] for one in (await data(MODELS, kind="AFFINITY"))["models"]] == ["AFFINITY"]
    assert (await data(MODELS, kind="RESPONSE"))["models"] == []


async def test_recommendations_in_pages(data, learned, shops) -> None:
    for _ in range(3):
        await learned.advice("CHANNEL", campaign=1, gain=12.5)
    await learned.advice("BUDGET", campaign=2)
    await learned.advice("CHANNEL", campaign=2, superseded=datetime(2026, 2, 1, tzinfo=UTC))
    page = await recommendations(data, first=2)
    assert page["totalCount"] == 4
    assert page["pageInfo"] | {"endCursor": None} == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "endCursor": None,
    }
    assert [edge["node"]["id"] for edge in page["edges"]] == ["rec_4", "rec_3"]
    assert page["edges"][1]["node"] == {
        "id": "rec_3",
        "kind": "CHANNEL",
        "title": "Do it",
        "rationale": "Because.",
        "evidence": {"subject": ""},
        "createdAt": "2026-01-01T00:00:00Z",
        "expectedGain": {"point": 12.5, "low": 11.5, "high": 13.5},
        "campaign": {"key": "of-a"},
        "test": None,
    }
    assert page["edges"][0]["node"]["expectedGain"] is None
    rest = await recommendations(data, first=2, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["id"] for edge in rest["edges"]] == ["rec_2", "rec_1"]
    assert not rest["pageInfo"]["hasNextPage"]
    assert rest["pageInfo"]["hasPreviousPage"]


async def test_recommendations_of_a_kind_and_a_campaign(data, learned, shops) -> None:
    await learned.advice("CHANNEL", campaign=1)
    await learned.advice("BUDGET", campaign=2)
    await learned.advice("CHANNEL", campaign=2)

    async def ids(**given: Any) -> list[str]:
        return [edge["node"]["id"] for edge in (await recommendations(data, **given))["edges"]]

    assert await ids(kind="CHANNEL") == ["rec_3", "rec_1"]
    assert await ids(campaign="of-b") == await ids(campaign="cmp_2") == ["rec_3", "rec_2"]
    assert await ids(campaign="of-b", kind="BUDGET") == ["rec_2"]
    assert await ids(campaign="of-c") == []
    assert [one["id"] for one in (await campaign(data, "of-b"))["recommendations"]] == ["rec_3", "rec_2"]


async def test_a_campaign_that_is_not_there_and_a_foreign_cursor_are_refused(ask, shops) -> None:
    unknown = await ask(RECOMMENDATIONS, campaign="nowhere")
    assert unknown["errors"][0]["extensions"] == {"code": "NOT_FOUND", "path": ["campaignId"]}
    foreign = await ask(RECOMMENDATIONS, after="xyz")
    assert foreign["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


# ------------------------------------------------------------------------------------------------ who may ask

READERS = {Role.ADMIN, Role.ANALYST}
OF_MODELS = {
    "models": "{ models { id } }",
    "recommendations": "{ recommendations { totalCount } }",
    **{
        name: f'{{ campaign(id: "of-a") {{ {field} }} }}'
        for name, field in {
            "offerRecommendation": "offerRecommendation { amount }",
            "offerRefusal": "offerRefusal",
            "segmentRanking": "segmentRanking { rank }",
            "segmentRefusal": "segmentRefusal",
            "recommendations of a campaign": "recommendations { id }",
        }.items()
    },
}
OF_USERS = {
    name: f'{{ user(id: "ann") {{ {field} }} }}'
    for name, field in {
        "sendTime": "sendTime { hour }",
        "affinities": "affinities { rank }",
        "recommendedCampaigns": "recommendedCampaigns { rank }",
        "assignments": "assignments { totalCount }",
    }.items()
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("query", OF_MODELS.values(), ids=OF_MODELS)
async def test_models_and_advice_are_for_admins_and_analysts(ask, learned, shops, role: Role, query: str) -> None:
    answer = await ask(query, by=Principal(9, "k", role))
    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert codes == ([] if role in READERS else ["NOT_ALLOWED"])


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("query", OF_USERS.values(), ids=OF_USERS)
async def test_what_is_for_a_user_is_for_the_app_too(ask, learned, shops, role: Role, query: str) -> None:
    await learned.hours(await learned.model("SEND_TIME"))
    answer = await ask(query, by=Principal(9, "k", role))
    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert codes == ([] if role in READERS | {Role.CLIENT} else ["NOT_ALLOWED"])


# ------------------------------------------------------------------------------------------------ how many statements

EVERYTHING = """{
    campaigns(first: 100) { nodes {
        offerRecommendation { amount campaign { key } curve { amount } } offerRefusal
        segmentRanking { segment } sendingEffect { toldApart } sendingEffectRefusal
        recommendations { id campaign { key } test { key } } } }
    recommendations(first: 100) { totalCount nodes { id campaign { key } test { key } } }
    models { id }
    user(id: "ann") {
        sendTime { hour } affinities(first: 100) { merchant { key } }
        recommendedCampaigns(first: 100) { campaign { key merchant { key } } }
        assignments(first: 100) { totalCount nodes { test { key } variant { key } } } }
}"""


async def test_the_number_of_statements_does_not_depend_on_the_rows(
    data, learned, shops, clean_database, statements
) -> None:
    models = {kind: await learned.model(kind) for kind in ("OFFER", "SEND_TIME", "AFFINITY", "RESPONSE")}
    await learned.hours(models["SEND_TIME"])

    async def fill(campaigns: list[int]) -> None:
        for number in campaigns:
            await learned.curve(models["OFFER"], number)
            await learned.segment(models["RESPONSE"], number, "vip", 1)
            await learned.advice("CHANNEL", campaign=number)

    await fill([1])
    await learned.affinity(models["AFFINITY"], 1, {1: 0.5})
    with statements.watched() as few:
        await data(EVERYTHING)
    await clean_database.execute(
        "INSERT INTO merchant (key, name, category) SELECT 'm' || n, 'M', '' FROM generate_series(1, 30) n"
    )
    await clean_database.execute(
        "INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount)"
        " SELECT 'c' || id, 'C', id, 'ACTIVE', '{1}', 5 FROM merchant WHERE key LIKE 'm%'"
    )
    await fill(list(range(2, 34)))
    await clean_database.execute("DELETE FROM merchant_affinity")
    await learned.affinity(models["AFFINITY"], 1, {number: 1 / number for number in range(1, 34)})
    with statements.watched() as many:
        answer = await data(EVERYTHING)
    assert len(answer["user"]["affinities"]) == 33
    assert len(answer["user"]["recommendedCampaigns"]) == 33
    assert sum(node["offerRecommendation"] is not None for node in answer["campaigns"]["nodes"]) == 33
    assert len(many) == len(few)
