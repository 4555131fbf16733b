"""Campaigns, merchants, users and the portfolio through the real server."""

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

SETUP = """mutation($merchant: CreateMerchantInput!, $spring: CreateCampaignInput!, $fall: CreateCampaignInput!,
                    $users: [UserInput!]!, $events: [EventInput!]!) {
    createMerchant(input: $merchant) { errors { message } }
    spring: createCampaign(input: $spring) { errors { message } }
    fall: createCampaign(input: $fall) { errors { message } }
    upsertUsers(users: $users) { errors { message } }
    recordEvents(events: $events) { accepted rejected { message } }
}"""
MARCH = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}


class World:
    """A merchant with two campaigns; the names are this run's own."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(4)
        self.shop, self.spring, self.fall = (f"{name}-{self.mark}" for name in ("shop", "spring", "fall"))
        self.ann, self.bob = f"ann-{self.mark}", f"bob-{self.mark}"
        self._ids = 0

    def variables(self) -> dict:
        campaign = {"merchantId": self.shop, "channels": ["PUSH"], "offerAmount": "2", "status": "ACTIVE"}
        return {
            "merchant": {"key": self.shop, "name": f"Shop {self.mark}", "category": "Food"},
            "spring": {"key": self.spring, "name": f"Spring {self.mark}", **campaign},
            "fall": {"key": self.fall, "name": f"Fall {self.mark}", **campaign, "status": "DRAFT", "channels": ["SMS"]},
            "users": [{"externalId": self.ann, "segment": "vip"}, {"externalId": self.bob}],
            "events": self.events(),
        }

    def events(self) -> list[dict]:
        return [
            *[self.event("SENT", "2026-03-02T10:00:00Z", user=self.ann, channel="PUSH", cost="0.1") for _ in range(4)],
            *[self.event("DELIVERED", "2026-03-02T10:30:00Z", user=self.ann, channel="PUSH") for _ in range(4)],
            *[self.event("OPENED", "2026-03-02T11:00:00Z", user=self.ann, channel="PUSH") for _ in range(2)],
            self.event("CLICKED", "2026-03-02T11:30:00Z", user=self.ann, channel="PUSH"),
            self.event("CONVERTED", "2026-03-02T12:00:00Z", user=self.ann, channel="PUSH", value="10"),
            self.event("CONVERTED", "2026-03-11T12:00:00Z", user=self.ann, channel="PUSH", value="20", cost="3"),
            *[self.event("DELIVERED", "2026-03-04T09:00:00Z", user=self.bob, channel="SMS") for _ in range(2)],
        ]

    def event(self, kind: str, at: str, *, user: str, **fields: str) -> dict:
        self._ids += 1
        return {
            "id": f"{self.mark}-{self._ids}",
            "type": kind,
            "occurredAt": at,
            "userId": user,
            "campaignId": self.spring,
            **fields,
        }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(client: httpx.AsyncClient) -> AsyncIterator[World]:
    world = World()
    response = await client.post("/graphql", json={"query": SETUP, "variables": world.variables()})
    data = response.json()["data"]
    assert data["recordEvents"] == {"accepted": 15, "rejected": []}
    assert all(data[name]["errors"] == [] for name in ("createMerchant", "spring", "fall", "upsertUsers"))
    yield world


async def test_a_campaign_with_everything(post, world: World) -> None:
    body = await post(
        """query($id: ID!, $march: Window!, $first: Window!) {
            campaign(id: $id) {
                metrics(window: $march) {
                    sent delivered opened clicked activated converted geofenceEntries revenue cost
                    deliveryRate openRate clickThroughRate conversionRate averageOrderValue costPerConversion roi
                }
                firstDays: metrics(window: $first) { converted revenue }
                segments { segment rank metrics { delivered conversionRate } }
                channels: segments(by: CHANNEL) { segment metrics { delivered } }
                hours: segments(by: HOUR_OF_DAY, window: $first) { segment metrics { sent } }
                trend(interval: DAY, window: $march) { startsAt metrics { converted } }
                roi { revenue rewardCost deliveryCost profit roi breakEvenConversions }
                cohorts(periods: 2) { startsAt size retained retention }
            }
        }""",
        id=world.spring, march=MARCH, first={"from": "2026-03-02T10:15:00Z", "to": "2026-03-02T12:00:00.000001Z"},
    )  # fmt: skip
    campaign = body["data"]["campaign"]
    counts = {
        "sent": 4,
        "delivered": 6,
        "opened": 2,
        "clicked": 1,
        "activated": 0,
        "converted": 2,
        "geofenceEntries": 0,
    }
    money = {"revenue": "30.00", "cost": "5.40", "averageOrderValue": "15.00", "costPerConversion": "2.70"}
    rates = {
        "deliveryRate": 1.5,
        "openRate": 2 / 6,
        "clickThroughRate": 0.5,
        "conversionRate": 2 / 6,
        "roi": (30 - 5.4) / 5.4,
    }
    assert campaign["metrics"] == {**counts, **money, **{name: pytest.approx(rate) for name, rate in rates.items()}}
    assert campaign["firstDays"] == {"converted": 1, "revenue": "10.00"}
    assert campaign["segments"] == [
        {"segment": "vip", "rank": 1, "metrics": {"delivered": 4, "conversionRate": 0.5}},
        {"segment": "(none)", "rank": 2, "metrics": {"delivered": 2, "conversionRate": 0.0}},
    ]
    assert {part["segment"]: part["metrics"]["delivered"] for part in campaign["channels"]} == {"PUSH": 4, "SMS": 2}
    assert {part["segment"] for part in campaign["hours"]} == {"10", "11", "12"}
    assert len(campaign["trend"]) == 31
    assert [point["startsAt"] for point in campaign["trend"] if point["metrics"]["converted"]] == [
        "2026-03-02T00:00:00Z",
        "2026-03-11T00:00:00Z",
    ]
    returned = {"revenue": "30.00", "rewardCost": "5.00", "deliveryCost": "0.40", "profit": "24.60"}
    assert campaign["roi"] == {**returned, "roi": pytest.approx(24.6 / 5.4), "breakEvenConversions": 1}
    assert campaign["cohorts"] == [{"startsAt": "2026-03-02", "size": 1, "retained": [1, 1], "retention": [1.0, 1.0]}]


async def test_what_never_happened_is_zero_and_null(post, world: World) -> None:
    query = """query($id: ID!) { campaign(id: $id) {
        metrics { sent revenue deliveryRate averageOrderValue costPerConversion roi }
        segments { segment } trend { startsAt } cohorts { size } roi { profit roi breakEvenConversions }
    } }"""
    campaign = (await post(query, id=world.fall))["data"]["campaign"]
    nothing = {"deliveryRate": None, "averageOrderValue": None, "costPerConversion": None, "roi": None}
    assert campaign["metrics"] == {"sent": 0, "revenue": "0.00", **nothing}
    assert campaign["roi"] == {"profit": "0.00", "roi": None, "breakEvenConversions": None}
    assert (campaign["segments"], campaign["trend"], campaign["cohorts"]) == ([], [], [])


async def test_a_campaign_is_found_by_id_and_key(post, world: World) -> None:
    query = "query($id: ID!) { campaign(id: $id) { id key merchant { id key } } }"
    by_key = (await post(query, id=world.spring))["data"]["campaign"]
    assert (await post(query, id=by_key["id"]))["data"]["campaign"] == by_key
    merchant = await post("query($id: ID!) { merchant(id: $id) { key } }", id=by_key["merchant"]["id"])
    assert merchant["data"]["merchant"] == {"key": world.shop}


async def test_campaigns_in_pages(post, world: World) -> None:
    query = """query($after: String, $search: String!) {
        campaigns(first: 1, after: $after, orderBy: NAME, filter: { search: $search }) {
            totalCount nodes { key } edges { cursor node { key } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }"""
    first = (await post(query, search=world.mark))["data"]["campaigns"]
    assert first["totalCount"] == 2
    assert first["nodes"] == [{"key": world.fall}]
    assert first["edges"] == [{"cursor": first["pageInfo"]["endCursor"], "node": {"key": world.fall}}]
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    second = (await post(query, search=world.mark, after=first["pageInfo"]["endCursor"]))["data"]["campaigns"]
    assert second["nodes"] == [{"key": world.spring}]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({"status": ["ACTIVE"]}, {"spring"}),
        ({"status": ["ACTIVE", "DRAFT"]}, {"spring", "fall"}),
        ({"status": []}, set()),
        ({"channel": "SMS"}, {"fall"}),
        ({"status": ["ACTIVE"], "channel": "SMS"}, set()),
        ({"search": "SPRING"}, {"spring"}),
        ({"search": None, "channel": None, "status": None}, {"spring", "fall"}),
    ],
)
async def test_conditions_hold_together(post, world: World, conditions: dict, found: set[str]) -> None:
    query = "query($filter: CampaignFilter) { campaigns(first: 100, filter: $filter) { totalCount nodes { key } } }"
    body = await post(query, filter={"merchantId": world.shop, **conditions})
    assert {node["key"].split("-")[0] for node in body["data"]["campaigns"]["nodes"]} == found
    assert body["data"]["campaigns"]["totalCount"] == len(found)


async def test_a_merchant_and_its_campaigns(post, world: World) -> None:
    query = """query($id: ID!, $march: Window) { merchant(id: $id) {
        metrics(window: $march) { converted revenue }
        campaigns(first: 1) { totalCount nodes { key } pageInfo { hasNextPage } }
    } }"""
    merchant = (await post(query, id=world.shop, march=MARCH))["data"]["merchant"]
    assert merchant["metrics"] == {"converted": 2, "revenue": "30.00"}
    assert merchant["campaigns"] == {"totalCount": 2, "nodes": [{"key": world.fall}], "pageInfo": {"hasNextPage": True}}


async def test_the_portfolio_and_the_best(post, world: World) -> None:
    body = await post("""{
        portfolio {
            campaigns active metrics { sent }
            trend(interval: WEEK) { startsAt metrics { sent } }
            byMerchant(first: 100) { rank merchant { key } metrics { revenue } }
            byChannel { segment metrics { sent } }
            byCurrency { currency campaigns metrics { sent } }
        }
        topCampaigns(by: AVERAGE_ORDER_VALUE, first: 100) { rank value campaign { key } }
        all: merchants(first: 100) { totalCount nodes { key } }
    }""")
    data = body["data"]
    portfolio = data["portfolio"]
    assert portfolio["campaigns"] >= 2
    assert portfolio["metrics"]["sent"] == sum(point["metrics"]["sent"] for point in portfolio["trend"]) >= 4
    assert portfolio["metrics"]["sent"] == sum(part["metrics"]["sent"] for part in portfolio["byChannel"])
    assert portfolio["metrics"]["sent"] == sum(part["metrics"]["sent"] for part in portfolio["byCurrency"])
    assert portfolio["campaigns"] == sum(part["campaigns"] for part in portfolio["byCurrency"])
    revenues = [float(place["metrics"]["revenue"]) for place in portfolio["byMerchant"]]
    assert revenues == sorted(revenues, reverse=True)
    assert world.shop in {place["merchant"]["key"] for place in portfolio["byMerchant"]}
    (place,) = [place for place in data["topCampaigns"] if place["campaign"]["key"] == world.spring]
    assert place["value"] == pytest.approx(15)
    assert [place["rank"] for place in data["topCampaigns"]] == list(range(1, len(data["topCampaigns"]) + 1))
    assert data["all"]["totalCount"] >= 1


async def test_ranking_leaves_out_small_senders(post, world: World) -> None:
    query = "query($least: Int) { topCampaigns(first: 100, by: REVENUE, minimumSent: $least) { campaign { key } } }"
    with_four = {place["campaign"]["key"] for place in (await post(query, least=4))["data"]["topCampaigns"]}
    with_five = {place["campaign"]["key"] for place in (await post(query, least=5))["data"]["topCampaigns"]}
    assert world.spring in with_four
    assert world.spring not in with_five


REVERSED = '{ from: "2026-04-01T00:00:00Z", to: "2026-03-01T00:00:00Z" }'
ENDLESS = '{ from: "1990-01-01T00:00:00Z", to: "2026-03-01T00:00:00Z" }'


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('{ campaign(id: "nothing") { id } }', "NOT_FOUND"),
        ('{ campaign(id: "cmp_999999") { id } }', "NOT_FOUND"),
        ('{ campaign(id: "mer_1") { id } }', "NOT_FOUND"),
        ('{ campaign(id: "") { id } }', "NOT_FOUND"),
        ('{ merchant(id: "nothing") { id } }', "NOT_FOUND"),
        ('{ user(id: "nobody") { id } }', "NOT_FOUND"),
        ('{ user(id: "usr_999999999999") { id } }', "NOT_FOUND"),
        ('{ campaigns(filter: { merchantId: "nothing" }) { totalCount } }', "NOT_FOUND"),
        ("{ campaigns(first: 0) { totalCount } }", "INVALID_INPUT"),
        ("{ campaigns(first: -1) { totalCount } }", "INVALID_INPUT"),
        ("{ campaigns(first: 101) { totalCount } }", "INVALID_INPUT"),
        ('{ campaigns(after: "nonsense") { totalCount } }', "INVALID_INPUT"),
        ("{ merchants(first: -1) { totalCount } }", "INVALID_INPUT"),
        ('{ merchants(after: "nonsense") { totalCount } }', "INVALID_INPUT"),
        ('{ merchant(id: "SHOP") { campaigns(first: 1000) { totalCount } } }', "INVALID_INPUT"),
        ('{ merchant(id: "SHOP") { campaigns(after: "nonsense") { totalCount } } }', "INVALID_INPUT"),
        (f'{{ merchant(id: "SHOP") {{ metrics(window: {REVERSED}) {{ sent }} }} }}', "INVALID_INPUT"),
        ("{ topCampaigns(first: 0) { rank } }", "INVALID_INPUT"),
        ("{ topCampaigns(first: 101) { rank } }", "INVALID_INPUT"),
        ("{ topCampaigns(minimumSent: -1) { rank } }", "INVALID_INPUT"),
        (f"{{ topCampaigns(window: {REVERSED}) {{ rank }} }}", "INVALID_INPUT"),
        (f"{{ portfolio(window: {REVERSED}) {{ active }} }}", "INVALID_INPUT"),
        ("{ portfolio { byMerchant(first: 0) { rank } } }", "INVALID_INPUT"),
        (f"{{ portfolio(window: {ENDLESS}) {{ trend(interval: HOUR) {{ startsAt }} }} }}", "INVALID_INPUT"),
        (f'{{ campaign(id: "KEY") {{ metrics(window: {REVERSED}) {{ sent }} }} }}', "INVALID_INPUT"),
        (f'{{ campaign(id: "KEY") {{ segments(window: {REVERSED}) {{ rank }} }} }}', "INVALID_INPUT"),
        (f'{{ campaign(id: "KEY") {{ trend(window: {REVERSED}) {{ startsAt }} }} }}', "INVALID_INPUT"),
        (f'{{ campaign(id: "KEY") {{ trend(interval: HOUR, window: {ENDLESS}) {{ startsAt }} }} }}', "INVALID_INPUT"),
        (f'{{ campaign(id: "KEY") {{ roi(window: {REVERSED}) {{ roi }} }} }}', "INVALID_INPUT"),
        ('{ campaign(id: "KEY") { cohorts(interval: HOUR) { size } } }', "INVALID_INPUT"),
        ('{ campaign(id: "KEY") { cohorts(periods: 0) { size } } }', "INVALID_INPUT"),
        ('{ campaign(id: "KEY") { cohorts(periods: 100000) { size } } }', "INVALID_INPUT"),
        ("{ topCampaigns(by: LUCK) { rank } }", "INVALID_INPUT"),
        ("{ topCampaigns(first: 99999999999) { rank } }", "INVALID_INPUT"),
        ("{ topCampaigns(first: 1.5) { rank } }", "INVALID_INPUT"),
        ('{ portfolio(window: { from: "soon" }) { active } }', "INVALID_INPUT"),
        ('{ portfolio(window: { from: "2026-03-01T00:00:00" }) { active } }', "INVALID_INPUT"),
    ],
)
async def test_bad_input_gets_its_code_and_says_what_to_do(post, world: World, query: str, code: str) -> None:
    body = await post(query.replace("KEY", world.spring).replace("SHOP", world.shop))
    (error,) = body["errors"]
    assert error["extensions"]["code"] == code
    assert len(error["message"]) > 20
    assert not any((body.get("data") or {}).values())
