"""Merchants, campaigns and users through the real server: what is changed, and what is refused without a trace."""

import secrets

import pytest

CREATE_MERCHANT = """mutation($input: CreateMerchantInput!) {
    createMerchant(input: $input) { merchant { id key } errors { code message path } }
}"""
CREATE_CAMPAIGN = """mutation($input: CreateCampaignInput!) {
    createCampaign(input: $input) {
        campaign {
            id key name status channels offerAmount currency budget startsAt endsAt merchant { key } metrics { sent }
        }
        errors { code message path }
    }
}"""
UPDATE_CAMPAIGN = """mutation($input: UpdateCampaignInput!) {
    updateCampaign(input: $input) {
        campaign { id key name status channels offerAmount budget startsAt endsAt }
        errors { code message path }
    }
}"""
UPSERT_USERS = """mutation($users: [UserInput!]!) {
    upsertUsers(users: $users) { created updated errors { code message path } }
}"""


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


@pytest.fixture
async def merchant(post) -> str:
    key = unique("shop")
    body = await post(CREATE_MERCHANT, input={"key": key, "name": "Shop", "category": "Food"})
    assert body["data"]["createMerchant"]["errors"] == []
    return key


@pytest.fixture
async def campaign(post, merchant: str) -> dict:
    body = await post(CREATE_CAMPAIGN, input=draft(merchant, budget="100", startsAt="2026-01-01T00:00:00+01:00"))
    assert body["data"]["createCampaign"]["errors"] == []
    return body["data"]["createCampaign"]["campaign"]


def draft(merchant: str, **changes: object) -> dict:
    given = {"name": "Offer", "merchantId": merchant, "channels": ["PUSH", "EMAIL"], "offerAmount": "2.5"}
    return {"key": unique("offer"), **given, **changes}


async def total(post) -> int:
    return (await post("{ campaigns { totalCount } }"))["data"]["campaigns"]["totalCount"]


async def test_a_merchant_is_created(post) -> None:
    key = unique("shop")
    body = await post(
        CREATE_MERCHANT, input={"key": key, "name": "Shop", "category": "Food", "latitude": 52.5, "longitude": 13}
    )
    created = body["data"]["createMerchant"]["merchant"]
    found = await post(
        "query($id: ID!) { merchant(id: $id) { id name category latitude longitude } }", id=created["id"]
    )
    assert found["data"]["merchant"] == {
        "id": created["id"], "name": "Shop", "category": "Food", "latitude": 52.5, "longitude": 13.0,
    }  # fmt: skip


async def test_a_campaign_is_created_with_defaults(campaign: dict, merchant: str) -> None:
    given = {"name": "Offer", "channels": ["PUSH", "EMAIL"], "offerAmount": "2.50", "budget": "100.00"}
    defaults = {"status": "DRAFT", "currency": "USD", "endsAt": None, "metrics": {"sent": 0}}
    named = {"id": campaign["id"], "key": campaign["key"], "merchant": {"key": merchant}}
    assert campaign == {**named, **given, **defaults, "startsAt": "2025-12-31T23:00:00Z"}


async def test_money_may_be_a_number(post, merchant: str) -> None:
    body = await post(CREATE_CAMPAIGN, input=draft(merchant, offerAmount=0.1, budget=7))
    assert body["data"]["createCampaign"]["campaign"]["offerAmount"] == "0.10"
    assert body["data"]["createCampaign"]["campaign"]["budget"] == "7.00"


@pytest.mark.parametrize("by", ["id", "key"])
async def test_a_change_leaves_the_absent_and_clears_null(post, campaign: dict, by: str) -> None:
    changed = await post(
        UPDATE_CAMPAIGN, input={"id": campaign[by], "name": "New", "budget": None, "channels": ["SMS"]}
    )
    assert changed["data"]["updateCampaign"] == {
        "campaign": {
            "id": campaign["id"], "key": campaign["key"], "name": "New", "status": "DRAFT", "channels": ["SMS"],
            "offerAmount": "2.50", "budget": None, "startsAt": "2025-12-31T23:00:00Z", "endsAt": None,
        },
        "errors": [],
    }  # fmt: skip


async def test_users_are_created_and_updated(post) -> None:
    ann, bob = unique("ann"), unique("bob")
    first = await post(UPSERT_USERS, users=[{"externalId": ann, "segment": "vip", "timezone": "Europe/Berlin"}])
    assert first["data"]["upsertUsers"] == {"created": 1, "updated": 0, "errors": []}
    second = await post(UPSERT_USERS, users=[{"externalId": ann, "segment": "new"}, {"externalId": bob}])
    assert second["data"]["upsertUsers"] == {"created": 1, "updated": 1, "errors": []}
    query = "query($id: ID!) { user(id: $id) { id externalId segment timezone } }"
    user = (await post(query, id=ann))["data"]["user"]
    assert user == {"id": user["id"], "externalId": ann, "segment": "new", "timezone": "Europe/Berlin"}
    assert (await post(query, id=user["id"]))["data"]["user"] == user


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"merchantId": "nobody"}, "NOT_FOUND", ["merchantId"]),
        ({"merchantId": "mer_999999"}, "NOT_FOUND", ["merchantId"]),
        ({"key": "Not A Key"}, "INVALID_INPUT", ["key"]),
        ({"key": "cmp_7"}, "INVALID_INPUT", ["key"]),
        ({"name": " "}, "INVALID_INPUT", ["name"]),
        ({"channels": []}, "INVALID_INPUT", ["channels"]),
        ({"offerAmount": "-1"}, "INVALID_INPUT", ["offerAmount"]),
        ({"budget": "-0.01"}, "INVALID_INPUT", ["budget"]),
        ({"currency": "dollars"}, "INVALID_INPUT", ["currency"]),
        ({"startsAt": "2026-02-01T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}, "INVALID_INPUT", ["endsAt"]),
    ],
)
async def test_a_refused_campaign_leaves_no_trace(
    post, merchant: str, changes: dict, code: str, path: list[str]
) -> None:
    before = await total(post)
    body = await post(CREATE_CAMPAIGN, input=draft(merchant, **changes))
    payload = body["data"]["createCampaign"]
    assert payload["campaign"] is None
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [(code, path)]
    assert payload["errors"][0]["message"].endswith(".")
    assert await total(post) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"offerAmount": "NaN"},
        {"offerAmount": "Infinity"},
        {"budget": "lots"},
        {"channels": ["PIGEON"]},
        {"status": "DONE"},
        {"startsAt": "tomorrow"},
        {"startsAt": "2026-01-01T00:00:00"},
        {"name": None},
        {"name": 7},
        {"surprise": 1},
    ],
)
async def test_what_is_not_of_its_type_is_refused_before_anything_runs(post, merchant: str, changes: dict) -> None:
    before = await total(post)
    body = await post(CREATE_CAMPAIGN, input=draft(merchant, **changes))
    assert "data" not in body
    assert {error["extensions"]["code"] for error in body["errors"]} == {"INVALID_INPUT"}
    assert await total(post) == before


async def test_a_key_that_is_taken(post, merchant: str, campaign: dict) -> None:
    before = await total(post)
    again = await post(CREATE_MERCHANT, input={"key": merchant, "name": "Other", "category": "Other"})
    assert again["data"]["createMerchant"]["merchant"] is None
    assert [(e["code"], e["path"]) for e in again["data"]["createMerchant"]["errors"]] == [("ALREADY_EXISTS", ["key"])]
    body = await post(CREATE_CAMPAIGN, input=draft(merchant, key=campaign["key"]))
    assert [(e["code"], e["path"]) for e in body["data"]["createCampaign"]["errors"]] == [("ALREADY_EXISTS", ["key"])]
    assert await total(post) == before


async def test_everything_wrong_is_said_at_once(post, merchant: str) -> None:
    body = await post(CREATE_CAMPAIGN, input=draft(merchant, key="A B", offerAmount="-1", channels=[]))
    assert {e["path"][0] for e in body["data"]["createCampaign"]["errors"]} == {"key", "offerAmount", "channels"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "nothing"}, "NOT_FOUND"),
        ({"name": None}, "INVALID_INPUT"),
        ({"offerAmount": "-5"}, "INVALID_INPUT"),
        ({"endsAt": "2020-01-01T00:00:00Z"}, "INVALID_INPUT"),
    ],
)
async def test_a_refused_change_changes_nothing(post, campaign: dict, changes: dict, code: str) -> None:
    body = await post(UPDATE_CAMPAIGN, input={"id": campaign["id"], "channels": ["SMS"], **changes})
    assert body["data"]["updateCampaign"]["campaign"] is None
    assert [error["code"] for error in body["data"]["updateCampaign"]["errors"]] == [code]
    now = await post("query($id: ID!) { campaign(id: $id) { name channels offerAmount } }", id=campaign["id"])
    assert now["data"]["campaign"] == {"name": "Offer", "channels": ["PUSH", "EMAIL"], "offerAmount": "2.50"}


async def test_one_user_at_fault_refuses_all(post) -> None:
    good = unique("good")
    body = await post(
        UPSERT_USERS, users=[{"externalId": good}, {"externalId": unique("bad"), "timezone": "Mars/Olympus"}]
    )
    payload = body["data"]["upsertUsers"]
    assert (payload["created"], payload["updated"]) == (0, 0)
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [
        ("INVALID_INPUT", ["users", "1", "timezone"])
    ]
    found = await post("query($id: ID!) { user(id: $id) { id } }", id=good)
    assert found["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_too_many_users(post) -> None:
    body = await post(UPSERT_USERS, users=[{"externalId": f"many-{n}"} for n in range(1_001)])
    assert [error["code"] for error in body["data"]["upsertUsers"]["errors"]] == ["INVALID_INPUT"]
