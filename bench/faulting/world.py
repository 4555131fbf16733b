"""What the senders' events are about, and what must have been counted of them: reckoned without Winnow's code."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

CAMPAIGNS, MERCHANTS, USERS = 20, 5, 1_500
TYPES = ["SENT"] * 30 + ["DELIVERED"] * 22 + ["OPENED"] * 12 + ["CLICKED"] * 8 + ["ACTIVATED"] * 5 + ["CONVERTED"] * 8
EXPOSURES = ["EXPOSED"] * 15
CHANNELS = ["PUSH", "EMAIL", "SMS", "IN_APP"]
WINDOW = timedelta(hours=72)
VARIANTS = ("a", "b")
TOLD, DECIDED = "told", "decided"
"""Two tests: senders say the variant of the one, the server decides that of the other."""

CATALOGUE = f"""
    INSERT INTO merchant (key, name, category) SELECT 'm' || n, 'M' || n, 'food' FROM generate_series(1, {MERCHANTS}) n;
    INSERT INTO campaign (key, name, merchant_id, channels, offer_amount, status)
        SELECT 'c' || n, 'C' || n, n % {MERCHANTS} + 1, '{{1,2}}', 5, 'ACTIVE' FROM generate_series(1, {CAMPAIGNS}) n;
    INSERT INTO app_user (external_id, segment, timezone)
        SELECT 'user-' || n, (ARRAY['new', 'loyal', 'lapsed'])[n % 3 + 1], 'Europe/Paris'
        FROM generate_series(1, {USERS}) n;
"""
TEST = """
    INSERT INTO ab_test (key, name, status, allocation_policy, floor, reallocate_every_minutes, seed, started_at)
        SELECT 'NAME', 'NAME', 'RUNNING', 'POLICY', 0.1, 60, 'NAME', now() - interval '400 days';
    INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight)
        SELECT t.id, v.key, v.key, v.n - 1, v.n = 1, 0.5
        FROM ab_test t, unnest(ARRAY['a', 'b']) WITH ORDINALITY v(key, n) WHERE t.key = 'NAME';
    INSERT INTO ab_test_metric (test_id, key, name, position, kind, event, higher_is_better, window_hours)
        SELECT id, 'bought', 'Bought', 0, 'CONVERSION', 6, true, 72 FROM ab_test WHERE key = 'NAME';
    INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, created_at)
        SELECT id, 1, allocation_policy, floor, '[0.5, 0.5]', started_at FROM ab_test WHERE key = 'NAME';
"""


async def furnish(url: str) -> None:
    """Bring the schema up to date, and make merchants, campaigns, users and two tests."""
    from app.store.database import Database

    database = await Database.open(url, default=False)
    await database.migrate()
    await database.execute(CATALOGUE)
    for name in (TOLD, DECIDED):
        await database.execute(TEST.replace("NAME", name).replace("POLICY", "FIXED"))
    await database.close()


def make_event(rng: random.Random, event_id: str, now: datetime, *, spread: timedelta) -> dict[str, Any]:
    """Return an event that occurred within the `spread` before now: of a campaign's funnel, or an exposure."""
    at = now - spread * rng.random()
    event = {
        "id": event_id,
        "type": rng.choice(TYPES + EXPOSURES),
        "occurredAt": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "userId": f"user-{rng.randrange(USERS) + 1}",
    }
    return event | (_exposure(rng, event) if event["type"] == "EXPOSED" else _of_campaign(rng, event))


def _exposure(rng: random.Random, event: dict[str, Any]) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {"testId": DECIDED}
    return {"testId": TOLD, "variantKey": VARIANTS[int(event["userId"][5:]) % 2]}


def _of_campaign(rng: random.Random, event: dict[str, Any]) -> dict[str, Any]:
    given = {"campaignId": f"c{rng.randrange(CAMPAIGNS) + 1}", "channel": rng.choice(CHANNELS)}
    return given | ({"value": f"{rng.randrange(500, 8000) / 100:.2f}"} if event["type"] == "CONVERTED" else {})


@dataclass
class Truth:
    """What the events come to: counts by campaign and type, revenue in millionths, units of tests by variant."""

    campaigns: Counter[tuple[str, str]] = field(default_factory=Counter)
    exposed: Counter[tuple[str, str]] = field(default_factory=Counter)
    converted: Counter[tuple[str, str]] = field(default_factory=Counter)


def reckon(events: Iterable[dict[str, Any]]) -> Truth:
    """Reckon what must have been counted of these events, each of another id, in whatever order."""
    truth, firsts, conversions = Truth(), {}, defaultdict(list)
    for event in events:
        if event["type"] == "EXPOSED":
            unit = event["testId"], event["userId"]
            firsts[unit] = min(firsts.get(unit, event["occurredAt"]), event["occurredAt"])
            continue
        truth.campaigns[event["campaignId"], event["type"].lower()] += 1
        if event["type"] == "CONVERTED":
            conversions[event["userId"]].append(event["occurredAt"])
            truth.campaigns[event["campaignId"], "revenue_micros"] += round(float(event["value"]) * 1_000_000)
    for (test, user), first in firsts.items():
        variant = VARIANTS[int(user[5:]) % 2] if test == TOLD else ""
        truth.exposed[test, variant] += 1
        truth.converted[test, variant] += any(_counts(at, first) for at in conversions[user])
    return truth


def _counts(at: str, first: str) -> bool:
    exposed = datetime.fromisoformat(first)
    return exposed <= datetime.fromisoformat(at) < exposed + WINDOW
