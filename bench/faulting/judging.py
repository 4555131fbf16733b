"""Whether what the server has is what it acknowledged: nothing lost, nothing twice, totals as the events say."""

from collections import Counter
from dataclasses import dataclass

import asyncpg

from bench.faulting.sending import Books
from bench.faulting.world import DECIDED, Truth, reckon

TOTALS = {
    "campaign_total": "campaign_id",
    "campaign_day": "campaign_id, day",
    "campaign_hour": "campaign_id, hour, segment, channel",
    "merchant_day": "merchant_id, day, channel",
    "campaign_cohort": "campaign_id, interval_days, cohort, period",
    "test_totals": "test_id, metric_id, variant_id, segment",
}
WHOLE = {
    "ab_test_assignment": "test_id, user_id",
    "unit_metric": "metric_id, user_id",
    "campaign_user_day": "campaign_id, user_id, day",
}
"""Tables of single units, compared row by row."""
BY_CAMPAIGN = """
    SELECT c.key, sum(sent)::bigint AS sent, sum(delivered)::bigint AS delivered, sum(opened)::bigint AS opened,
        sum(clicked)::bigint AS clicked, sum(activated)::bigint AS activated, sum(converted)::bigint AS converted,
        sum(revenue_micros)::bigint AS revenue_micros
    FROM campaign_total t JOIN campaign c ON c.id = t.campaign_id GROUP BY 1
"""
BY_VARIANT = """
    SELECT t.key AS test, v.key AS variant, sum(s.exposed)::bigint AS exposed, sum(s.converted)::bigint AS converted
    FROM test_totals s JOIN ab_test t ON t.id = s.test_id JOIN ab_test_variant v ON v.id = s.variant_id GROUP BY 1, 2
"""


@dataclass(frozen=True)
class Judgement:
    """`differing` says in words which totals are not what they must be."""

    made: int
    acknowledged: int
    rejected: int
    lost: int
    twice: int
    differing: tuple[str, ...]


async def judge(url: str, books: Books, rebuild) -> Judgement:
    """Compare the server's events and totals with the sender's books.

    `rebuild` rebuilds totals, and says what it found.
    """
    connection = await asyncpg.connect(url)
    try:
        # the key's digest makes them one; the event table has no unique index over all months, so it is counted
        rows = await connection.fetch("SELECT event_id, count(*) AS times FROM event GROUP BY 1")
        stored = {row["event_id"]: row["times"] for row in rows}
        differing = await _against_truth(connection, reckon(books.made[id_] for id_ in stored if id_ in books.made))
        before = await _totals(connection)
        said = await rebuild()
        if "Every total is what the events say." not in said:
            differing.append(f"rebuild-totals: {said.strip()[-300:]}")
        after = await _totals(connection)
        differing += [f"{table} changed by the rebuild" for table in before if before[table] != after[table]]
        keys = await connection.fetchval("SELECT count(*) FROM event_key")
        if keys != len(stored):
            differing.append(f"{keys} keys of {len(stored)} events")
    finally:
        await connection.close()
    return Judgement(
        made=len(books.made),
        acknowledged=len(books.acknowledged),
        rejected=len(books.rejected),
        lost=len(books.acknowledged - stored.keys()),
        twice=sum(times - 1 for times in stored.values()) + max(0, books.told_accepted - len(stored)),
        differing=tuple(differing),
    )


async def _against_truth(connection: asyncpg.Connection, truth: Truth) -> list[str]:
    campaigns: Counter[tuple[str, str]] = Counter()
    for row in await connection.fetch(BY_CAMPAIGN):
        campaigns.update({(row["key"], name): value for name, value in list(row.items())[1:] if value})
    exposed, converted = Counter(), Counter()
    for row in await connection.fetch(BY_VARIANT):
        unit = row["test"], "" if row["test"] == DECIDED else row["variant"]
        exposed[unit] += row["exposed"]
        converted[unit] += row["converted"]
    found = {"campaigns": campaigns, "exposed": exposed, "converted": converted}
    return [
        f"{name}: {len(_different(counts, getattr(truth, name)))} of {len(counts)} counts, "
        f"such as {_different(counts, getattr(truth, name))[0]}"
        for name, counts in found.items()
        if _different(counts, getattr(truth, name))
    ]


def _different(found: Counter, wanted: Counter) -> list[tuple]:
    return [(key, found[key], wanted[key]) for key in {*found, *wanted} if found[key] != wanted[key]]


async def _totals(connection: asyncpg.Connection) -> dict[str, list]:
    """Return every total, slots summed, and every unit's row."""
    found = {}
    for table, keys in TOTALS.items():
        columns = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND column_name <> 'slot'", table
        )
        values = [row[0] for row in columns if row[0] not in keys.split(", ")]
        summed = ", ".join(f"sum({name}) AS {name}" for name in values)
        some = " OR ".join(f"sum({name}) <> 0" for name in values)
        rows = await connection.fetch(
            f"SELECT {keys}, {summed} FROM {table} GROUP BY {keys} HAVING {some} ORDER BY {keys}"
        )
        found[table] = [tuple(row) for row in rows]
    for table, keys in WHOLE.items():
        found[table] = [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY {keys}")]
    return found
