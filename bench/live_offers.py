"""Live offers as they are served: three of 20 stores' offers shown to each household of the Complete Journey.

The whole way: the files are imported, affinities are trained from the 90 days before the last 30 as a job does it, and
`recommendedCampaigns`' own use case ranks 20 offers, one of which at least is by a store the household came to in the
last 30 days. Hit: one of the three shown is. It holds for the rows that are kept (20 merchants a user) and for the
ranking by taste and response; no position is passed.
"""

import asyncio
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np

from bench.campaigns import database_url
from bench.optimizer_data import Row

ROOT = Path(__file__).parent.parent
OFFERS, SHOWN, DAYS = 20, 3, 30
CAME = """
SELECT DISTINCT e.user_id, m.id AS merchant_id, e.occurred_at >= $2 AS late
FROM event e JOIN merchant m ON m.key = e.properties ->> 'merchant'
WHERE e.type = 6 AND e.campaign_id IS NULL AND e.occurred_at >= $1
"""


def rows(data: Path) -> list[Row]:
    """Return the table's row; none where the data are absent."""
    folder = data / "completejourney"
    if not (folder / "transactions.parquet").exists():
        return []
    share, popular, users = asyncio.run(judged(folder))
    return [
        Row(
            f"served: completejourney, {OFFERS} live offers, hit@{SHOWN}",
            "at least 0.95",
            f"{share:.3f}",
            share >= 0.95,
            f"cold start for all {popular:.3f}; {users} households",
        )
    ]


async def judged(folder: Path) -> tuple[float, float, int]:
    """Return the share of households with a hit, the same as if none were known, and how many there are."""
    from app.store.database import Database

    with database_url() as url:
        database = await Database.open(url)
        await database.migrate()
        environment = {**os.environ, "DATABASE_URL": url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        command = [str(ROOT / "scripts" / "import-completejourney"), str(folder)]
        subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: ASYNC221  # nothing else runs
        happened = await trained(database)
        found = await shown(database, happened)
        await database.close()
    return found


async def trained(database) -> dict[int, set[int]]:
    """Train on what came before the last 30 days; return who came to which store in them, of those seen before."""
    from app.optimizer.courses import Plan
    from app.optimizer.training import Training
    from app.runtime.clock import SystemClock
    from app.runtime.compute import InlineCompute
    from app.store.models.codes import ModelKind

    async def told(_progress: float, _words: str) -> None:
        """Tell nobody."""

    last = await database.fetchval("SELECT max(occurred_at) FROM event")
    split = last - timedelta(days=DAYS)
    training = Training(
        database, targets=lambda _condition, _user: True, compute=InlineCompute(), clock=SystemClock(), plan=Plan()
    )
    await training.train([ModelKind.AFFINITY], told=told, until=split)
    came: defaultdict[int, set[int]] = defaultdict(set)
    seen: set[int] = set()
    for row in await database.fetch(CAME, split - timedelta(days=90), split):
        if row["late"]:
            came[row["user_id"]].add(row["merchant_id"])
        else:
            seen.add(row["user_id"])
    return {user: merchants for user, merchants in came.items() if user in seen}


class Drawn:
    """Offers drawn for one household; a campaign is a merchant's number."""

    def __init__(self) -> None:
        self.live: list[int] = []

    async def at(self, _moment: object) -> list:
        from app.store.live_offers import LiveOffer

        return [LiveOffer(merchant, merchant, None, None, None, 0, 0) for merchant in self.live]

    async def campaigns(self, ids: list[int]) -> Mapping[int, int]:
        return {number: number for number in ids}


async def shown(database, happened: dict[int, set[int]]) -> tuple[float, float, int]:
    """Return the share of households shown a store they came to, the same for users nobody knows, and their number."""
    from app.optimizer.recommending import Recommending
    from app.runtime.clock import SystemClock
    from app.store.campaigns import CampaignStore
    from app.store.learned import LearnedStore

    drawn, rng = Drawn(), np.random.default_rng(1)
    recommending = Recommending(
        LearnedStore(database),
        drawn,
        campaigns=drawn,
        targets=lambda _targeting, _user: True,
        clock=SystemClock(),
    )
    users = await CampaignStore(database).users(list(happened))
    stores = np.array([row["id"] for row in await database.fetch("SELECT id FROM merchant WHERE key LIKE 'store-%'")])
    hits, cold = [], []
    for user, merchants in sorted(happened.items()):
        mine = rng.choice(sorted(merchants))
        others = rng.choice(stores[stores != mine], OFFERS - 1, replace=False)
        drawn.live = [*others.tolist(), int(mine)]
        for known, kept in ((users[user], hits), (unknown(users[user]), cold)):
            [best] = (await recommending.offers([known], first=SHOWN)).values()
            kept.append(any(one.campaign in merchants for one in best))
    return float(np.mean(hits)), float(np.mean(cold)), len(hits)


def unknown(user):
    from msgspec.structs import replace

    return replace(user, id=-1)


if __name__ == "__main__":
    from bench.optimizer_data import DATA

    for found in rows(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA):
        print(*found, sep=" | ")
