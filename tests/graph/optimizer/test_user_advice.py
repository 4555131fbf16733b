"""What is advised for a user: hour, merchants, live offers, and what it was assigned to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

SEND_TIME = """query ($id: ID!, $quiet: [Int!], $on: Date) { user(id: $id) { sendTime(quietHours: $quiet, on: $on) {
    hour dayOfWeek timezone openProbability interval { point low high } evidence byHour sends quietHours explored
    probability nextAt reasons } } }"""
AFFINITIES = """query ($id: ID!, $first: Int, $latitude: Float, $longitude: Float) {
    user(id: $id) { affinities(first: $first, latitude: $latitude, longitude: $longitude) {
        merchant { key } score rank distanceKm evidence reasons } } }"""
OFFERS = """query ($id: ID!, $latitude: Float, $longitude: Float) {
    user(id: $id) { recommendedCampaigns(latitude: $latitude, longitude: $longitude) {
        campaign { key } score rank distanceKm evidence reasons } } }"""
ASSIGNMENTS = """query ($id: ID!, $first: Int, $after: String) { user(id: $id) {
    assignments(first: $first, after: $after) {
        totalCount pageInfo { hasNextPage endCursor }
        nodes { test { key } variant { key } userId assignedAt probability policyVersion } } } }"""


async def send_time(data, user: str, **given: Any) -> dict[str, Any]:
    return (await data(SEND_TIME, id=user, **given))["user"]["sendTime"]


async def affinities(data, user: str, **given: Any) -> list[dict[str, Any]]:
    return (await data(AFFINITIES, id=user, **given))["user"]["affinities"]


async def offers(data, user: str, **given: Any) -> list[dict[str, Any]]:
    return (await data(OFFERS, id=user, **given))["user"]["recommendedCampaigns"]


def keys(found: list[dict[str, Any]], of: str = "campaign") -> list[str]:
    return [one[of]["key"] for one in found]


# ------------------------------------------------------------------------------------------------ the hour


async def test_before_training_there_is_not_enough_data(ask, shops) -> None:
    answer = await ask(SEND_TIME, id="ann")
    assert answer["data"] == {"user": None}
    assert answer["errors"][0]["extensions"]["code"] == "NOT_ENOUGH_DATA"
    assert "trainModels" in answer["errors"][0]["message"]


async def test_a_user_with_a_profile_of_its_own(data, learned, shops) -> None:
    model = await learned.model("SEND_TIME")
    await learned.hours(model, user=1, best=20, evidence="USER", sends=64)
    await learned.hours(model, best=8)
    found = await send_time(data, "ann")
    assert (found["hour"], found["dayOfWeek"], found["timezone"]) == (20, None, "Europe/Rome")
    assert found["interval"] == {"point": 0.3, "low": 0.25, "high": 0.36}
    assert (found["openProbability"], found["evidence"], found["sends"]) == (0.3, "USER", 64)
    assert [found["byHour"][hour] for hour in (0, 20, 21)] == [0.1, 0.3, 0.2]
    assert len(found["byHour"]) == 24
    assert (found["quietHours"], found["explored"], found["probability"]) == ([], False, 1.0)
    assert found["reasons"] == [
        "Opens at 20:00 local time are expected 2.7 times the day's mean, by the user's own opens."
    ]
    at = datetime.fromisoformat(found["nextAt"])
    assert timedelta() < at - datetime.now(UTC) <= timedelta(days=1, hours=1)
    assert at.minute == at.second == 0


async def test_cold_start_answers_with_the_segments_then_with_everyones_hour(data, learned, shops) -> None:
    model = await learned.model("SEND_TIME")
    await learned.hours(model, best=8, sends=5_000)
    await learned.hours(model, segment="vip", best=21, evidence="SEGMENT", sends=900)
    segments, everyones = await send_time(data, "ann"), await send_time(data, "bob")
    assert (segments["hour"], segments["evidence"], segments["sends"]) == (21, "SEGMENT", 900)
    assert "segment's opens" in segments["reasons"][0]
    assert (everyones["hour"], everyones["evidence"]) == (8, "GLOBAL")
    assert "everyone's opens" in everyones["reasons"][0]


@pytest.mark.parametrize(("user", "words"), [("bob", "not known"), ("cid", "'Mars/Olympus' is no time zone")])
async def test_an_unknown_time_zone_falls_back_to_utc_and_says_so(data, learned, shops, user, words) -> None:
    await learned.hours(await learned.model("SEND_TIME"), best=8)
    found = await send_time(data, user)
    assert found["timezone"] == "UTC"
    assert words in found["reasons"][-1]
    assert datetime.fromisoformat(found["nextAt"]).hour == 8


async def test_quiet_hours_are_left_out(data, learned, shops) -> None:
    await learned.hours(await learned.model("SEND_TIME"), best=8)
    found = await send_time(data, "ann", quiet=[8, 7])
    assert (found["hour"], found["openProbability"], found["quietHours"]) == (9, 0.2, [7, 8])
    assert found["interval"]["low"] < 0.2 < found["interval"]["high"]
    assert "8:00, is quiet" in found["reasons"][1]


@pytest.mark.parametrize("quiet", [[24], [-1], list(range(24))])
async def test_impossible_quiet_hours_are_refused(ask, learned, shops, quiet) -> None:
    await learned.hours(await learned.model("SEND_TIME"))
    answer = await ask(SEND_TIME, id="ann", quiet=quiet)
    assert answer["errors"][0]["extensions"] == {"code": "INVALID_INPUT", "path": ["quietHours"]}


async def test_only_the_active_version_is_served(data, learned, shops) -> None:
    await learned.hours(await learned.model("SEND_TIME", version=1, active=False), best=3)
    await learned.hours(await learned.model("SEND_TIME", version=2), best=8)
    assert (await send_time(data, "ann"))["hour"] == 8


# ------------------------------------------------------------------------------------------------ merchants


async def test_merchants_of_a_known_user(data, learned, shops) -> None:
    model = await learned.model("AFFINITY")
    await learned.affinity(model, 1, {2: 0.9, 1: 0.4, 3: 0.2}, "visited before, and lately")
    await learned.affinity(model, None, {3: 9.0, 1: 1.0}, "popular with everyone")
    found = await affinities(data, "ann")
    assert keys(found, "merchant") == ["b", "a", "c"]
    assert [one["rank"] for one in found] == [1, 2, 3]
    assert [one["score"] for one in found] == [0.9, 0.4, 0.2]
    assert {one["evidence"] for one in found} == {"USER"}
    assert found[0]["distanceKm"] == pytest.approx(10.0, abs=0.02)
    assert (found[1]["distanceKm"], found[2]["distanceKm"]) == (0.0, None)
    assert found[0]["reasons"] == ["visited before, and lately", "10.0 km away"]
    assert found[2]["reasons"] == ["visited before, and lately"]
    assert keys(await affinities(data, "ann", first=1), "merchant") == ["b"]


async def test_a_new_user_gets_what_is_popular_and_near(data, learned, shops) -> None:
    model = await learned.model("AFFINITY")
    await learned.affinity(model, None, {1: 1.0, 2: 0.8}, "popular with everyone")
    nowhere, north = await affinities(data, "bob"), await affinities(data, "cid")
    assert (keys(nowhere, "merchant"), keys(north, "merchant")) == (["a", "b"], ["b", "a"])
    assert {one["evidence"] for one in nowhere} == {"GLOBAL"}
    assert nowhere[0]["reasons"] == ["popular with everyone", "no visit of this user is known yet"]
    assert north[0]["reasons"][1] == "0 m away"
    assert north[0]["score"] == 0.8
    assert north[1]["score"] == pytest.approx(1 / 3, abs=0.001)
    there = await affinities(data, "bob", latitude=41.99, longitude=12.5)
    assert keys(there, "merchant") == ["b", "a"]


async def test_before_training_no_merchant_is_ranked(data, shops) -> None:
    assert await affinities(data, "ann") == []


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"latitude": 1.0}, "longitude"),
        ({"longitude": 1.0}, "latitude"),
        ({"latitude": 90.5, "longitude": 0.0}, "latitude"),
        ({"latitude": 0.0, "longitude": -180.5}, "longitude"),
    ],
)
@pytest.mark.parametrize("query", [AFFINITIES, OFFERS])
async def test_half_a_place_or_none_on_earth_is_refused(ask, shops, query, given, path) -> None:
    answer = await ask(query, id="ann", **given)
    assert answer["errors"][0]["extensions"] == {"code": "INVALID_INPUT", "path": [path]}


@pytest.mark.parametrize("first", [0, 101])
async def test_first_has_its_limits(ask, shops, first) -> None:
    answer = await ask(AFFINITIES, id="ann", first=first)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


# ------------------------------------------------------------------------------------------------ live offers


async def test_offers_follow_the_users_taste(data, learned, shops) -> None:
    model = await learned.model("AFFINITY")
    await learned.affinity(model, 1, {2: 0.9, 3: 0.4}, "visited before, and lately")
    found = await offers(data, "ann")
    assert keys(found) == ["of-b", "of-c", "of-a"]
    assert [one["rank"] for one in found] == [1, 2, 3]
    assert [one["evidence"] for one in found] == ["USER", "USER", "GLOBAL"]
    assert found[0]["reasons"] == ["visited before, and lately", "10.0 km away"]
    assert 0 <= found[2]["score"] < found[1]["score"] < found[0]["score"] <= 1


async def test_where_the_user_is_now_counts(data, learned, shops) -> None:
    model = await learned.model("AFFINITY")
    await learned.affinity(model, 1, {1: 0.5, 2: 0.45}, "visited before, and lately")
    assert keys(await offers(data, "ann"))[:2] == ["of-a", "of-b"]
    there = await offers(data, "ann", latitude=41.99, longitude=12.5)
    assert keys(there)[:2] == ["of-b", "of-a"]
    assert [one["distanceKm"] for one in there[:2]] == [0.0, pytest.approx(10.0, abs=0.02)]


async def test_predicted_response_settles_between_offers_of_one_merchant(data, learned, shops, clean_database) -> None:
    await clean_database.execute(
        "INSERT INTO campaign (key, name, merchant_id, status, channels, offer_amount)"
        " VALUES ('second', 'Second', 1, 'ACTIVE', '{1}', 7)"
    )
    await learned.affinity(await learned.model("AFFINITY"), 1, {1: 0.5}, "visited before, and lately")
    model = await learned.model("RESPONSE")
    await learned.response(model, 1, 1, 0.05)
    await learned.response(model, 1, 4, 0.25, rank=2)
    found = await offers(data, "ann")
    assert keys(found)[:2] == ["second", "of-a"]
    assert found[0]["reasons"][-1] == "25.0% expected to convert"


async def test_what_sending_adds_is_said_where_chance_left_users_out(data, learned, shops) -> None:
    await learned.affinity(await learned.model("AFFINITY"), 1, {1: 0.5, 2: 0.4}, "visited before, and lately")
    model = await learned.model("RESPONSE")
    await learned.response(model, 1, 1, 0.25)
    await learned.response(model, 1, 2, 0.2, rank=2)
    await learned.effect(model, 1, 0.03)
    await learned.effect(model, 1, 0.05, user=1)
    effects = (
        '{ user(id: "ann") { recommendedCampaigns { campaign { key } expectedEffect { point low high } reasons } } }'
    )
    first, second, *_ = (await data(effects))["user"]["recommendedCampaigns"]
    assert first["expectedEffect"] == pytest.approx({"point": 0.05, "low": 0.04, "high": 0.06})
    assert first["reasons"][-1] == "+5.0 points of that because it is sent (95 % +4.0 to +6.0)"
    assert second["expectedEffect"] is None


async def test_cold_start_before_training_goes_by_conversions_and_distance(data, shops, clean_database) -> None:
    await clean_database.execute(
        "INSERT INTO campaign_total (campaign_id, slot, delivered, converted) VALUES (2, 0, 600, 40), (2, 1, 400, 10),"
        " (3, 0, 1000, 20)"
    )
    found = await offers(data, "bob")
    assert keys(found) == ["of-b", "of-c", "of-a"]
    assert found[0]["reasons"] == [
        "popular with everyone",
        "no visit of this user is known yet",
        "50 of 1,000 delivered converted so far",
    ]
    assert {one["evidence"] for one in found} == {"GLOBAL"}


NOT_LIVE = {
    "a draft": "status = 'DRAFT'",
    "paused": "status = 'PAUSED'",
    "ended": "status = 'ENDED'",
    "not begun": "starts_at = now() + interval '1 hour'",
    "over": "starts_at = now() - interval '2 hours', ends_at = now() - interval '1 hour'",
    "spent": "budget = 30",
    "for others": """targeting = '{"segment": ["new", "lapsed"]}'""",
    "for others by a condition": """targeting = '{"plan": {"$in": ["pro"]}}'""",
    "not understood": """targeting = '{"$where": "1"}'""",
}
LIVE = {
    "within its dates": "starts_at = now() - interval '1 hour', ends_at = now() + interval '1 hour'",
    "with budget left": "budget = 30.01",
    "for the user's segment": """targeting = '{"segment": ["new", "vip"]}'""",
    "for the user by a condition": """targeting = '{"segment": "vip", "timezone": {"$ne": "UTC"}}'""",
}


@pytest.mark.parametrize("change", NOT_LIVE.values(), ids=NOT_LIVE)
async def test_what_is_not_live_or_not_for_the_user_is_not_recommended(data, shops, clean_database, change) -> None:
    await clean_database.execute(
        "INSERT INTO campaign_total (campaign_id, slot, reward_micros, delivery_micros) VALUES (1, 0, 20000000, 0),"
        " (1, 1, 0, 10000000)"
    )
    await clean_database.execute(f"UPDATE campaign SET {change} WHERE id = 1")
    assert sorted(keys(await offers(data, "ann"))) == ["of-b", "of-c"]


@pytest.mark.parametrize("change", LIVE.values(), ids=LIVE)
async def test_what_is_live_and_for_the_user_is_recommended(data, shops, clean_database, change) -> None:
    await clean_database.execute(
        "INSERT INTO campaign_total (campaign_id, slot, reward_micros, delivery_micros) VALUES (1, 0, 20000000, 0),"
        " (1, 1, 0, 10000000)"
    )
    await clean_database.execute(f"UPDATE campaign SET {change} WHERE id = 1")
    assert sorted(keys(await offers(data, "ann"))) == ["of-a", "of-b", "of-c"]


# ------------------------------------------------------------------------------------------------ assignments


async def assigned(database, count: int) -> None:
    for number in range(1, count + 1):
        test = await database.fetchval(
            "INSERT INTO ab_test (key, name, seed) VALUES ($1, 'T', 's') RETURNING id", f"t{number}"
        )
        variant = await database.fetchval(
            "INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)"
            " VALUES ($1, 'on', 'On', 0, true, 1) RETURNING id",
            test,
        )
        await database.execute(
            "INSERT INTO ab_test_metric (test_id, key, name, position, kind, event)"
            " VALUES ($1, 'm', 'M', 0, 'CONVERSION', 6)",
            test,
        )
        await database.execute(
            "INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability,"
            " policy_version) VALUES ($1, 1, $2, '2026-03-01T00:00:00Z', '2026-03-01T00:00:00Z', 0.25, 3)",
            test, variant,
        )  # fmt: skip


async def test_assignments_in_pages_newest_test_first(data, shops, clean_database) -> None:
    await assigned(clean_database, 3)
    page = (await data(ASSIGNMENTS, id="ann", first=2))["user"]["assignments"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    assert page["nodes"][0] == {
        "test": {"key": "t3"},
        "variant": {"key": "on"},
        "userId": "ann",
        "assignedAt": "2026-03-01T00:00:00Z",
        "probability": 0.25,
        "policyVersion": 3,
    }
    rest = (await data(ASSIGNMENTS, id="ann", first=2, after=page["pageInfo"]["endCursor"]))["user"]["assignments"]
    assert [one["test"]["key"] for one in rest["nodes"]] == ["t1"]
    assert not rest["pageInfo"]["hasNextPage"]
    none = (await data(ASSIGNMENTS, id="bob"))["user"]["assignments"]
    assert (none["totalCount"], none["nodes"]) == (0, [])
