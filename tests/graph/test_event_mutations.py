"""Events through the real server."""

import secrets

import pytest

RECORD = """mutation($events: [EventInput!]!) {
    recordEvents(events: $events) { accepted duplicates rejected { index id code message } }
}"""
SETUP = """mutation($merchant: CreateMerchantInput!, $campaign: CreateCampaignInput!) {
    createMerchant(input: $merchant) { errors { message } }
    createCampaign(input: $campaign) { campaign { id } errors { message } }
}"""


@pytest.fixture
async def campaign(post) -> str:
    shop, key = f"shop-{secrets.token_hex(4)}", f"offer-{secrets.token_hex(4)}"
    body = await post(
        SETUP,
        merchant={"key": shop, "name": "Shop", "category": "Food"},
        campaign={"key": key, "name": "Offer", "merchantId": shop, "channels": ["PUSH"], "offerAmount": "2"},
    )
    assert body["data"]["createCampaign"]["errors"] == []
    return key


def event(kind: str = "SENT", **fields: object) -> dict:
    return {"id": secrets.token_hex(8), "type": kind, "occurredAt": "2026-03-02T10:00:00Z", "userId": "u1", **fields}


async def test_events_count_once(post, campaign: str) -> None:
    events = [
        event(campaignId=campaign, channel="PUSH", cost="0.01"),
        event("DELIVERED", campaignId=campaign, channel="PUSH", properties={"device": {"os": "x"}, "tries": [1, 2]}),
        event("CONVERTED", campaignId=campaign, value="19.99", userId=4711),
    ]
    first = await post(RECORD, events=events)
    assert first["data"]["recordEvents"] == {"accepted": 3, "duplicates": 0, "rejected": []}
    again = await post(RECORD, events=[*events, events[0]])
    assert again["data"]["recordEvents"] == {"accepted": 0, "duplicates": 4, "rejected": []}
    figures = "sent delivered converted revenue cost averageOrderValue roi"
    body = await post(f"query($id: ID!) {{ campaign(id: $id) {{ metrics {{ {figures} }} }} }}", id=campaign)
    metrics = body["data"]["campaign"]["metrics"]
    assert metrics.pop("roi") == pytest.approx((19.99 - 2.01) / 2.01)
    money = {"revenue": "19.99", "cost": "2.01", "averageOrderValue": "19.99"}
    assert metrics == {"sent": 1, "delivered": 1, "converted": 1, **money}


async def test_a_bad_event_is_refused_by_its_place_and_the_others_stored(post, campaign: str) -> None:
    events = [
        event(campaignId=campaign),
        event(campaignId="nothing"),
        event(value="-1"),
        event(occurredAt="2999-01-01T00:00:00Z"),
    ]
    payload = (await post(RECORD, events=events))["data"]["recordEvents"]
    assert (payload["accepted"], payload["duplicates"]) == (1, 0)
    assert [(one["index"], one["id"], one["code"]) for one in payload["rejected"]] == [
        (1, events[1]["id"], "NOT_FOUND"),
        (2, events[2]["id"], "INVALID_INPUT"),
        (3, events[3]["id"], "INVALID_INPUT"),
    ]
    body = await post("query($id: ID!) { campaign(id: $id) { metrics { sent } } }", id=campaign)
    assert body["data"]["campaign"]["metrics"] == {"sent": 1}


@pytest.mark.parametrize(
    "fields",
    [{"type": "EATEN"}, {"occurredAt": "2026-03-02T10:00:00"}, {"value": "NaN"}, {"channel": "NONE"}, {"id": None}],
)
async def test_what_is_not_of_its_type_refuses_the_request(post, campaign: str, fields: dict) -> None:
    body = await post(RECORD, events=[event(campaignId=campaign), event(**fields)])
    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    stored = await post("query($id: ID!) { campaign(id: $id) { metrics { sent } } }", id=campaign)
    assert stored["data"]["campaign"]["metrics"] == {"sent": 0}


async def test_at_most_a_thousand(post, campaign: str) -> None:
    refused = await post(RECORD, events=[event(campaignId=campaign) for _ in range(1_001)])
    assert refused["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert "/v1/events" in refused["errors"][0]["message"]
    taken = await post(RECORD, events=[event(campaignId=campaign) for _ in range(1_000)])
    assert taken["data"]["recordEvents"]["accepted"] == 1_000
    assert (await post(RECORD, events=[]))["data"]["recordEvents"]["accepted"] == 0
