"""What is advised on the demo's world, beside its truth: hours and amounts, trained and read as they are served.

Value of an hour: the true open probability at the hour advised over that at the user's best hour. Lift: opens at the
hours advised over opens at the hours at which the world sends; expected is what `byHour` says of the same. Profit lost:
of an amount, beside the best of those that the campaign tried. All from `app.demo.truth`.
"""

import asyncio

import numpy as np

from bench.campaigns import database_url
from bench.optimizer_data import Row

HOURS = np.arange(24)


def rows(size: float = 1.0) -> list[Row]:
    """Return the table's rows."""
    return asyncio.run(judged(size))


async def judged(size: float) -> list[Row]:
    """Load the world, train hours and amounts, and judge them."""
    from app.commands.demo import loading_of
    from app.optimizer.courses import Plan
    from app.optimizer.training import Training
    from app.runtime.clock import SystemClock
    from app.runtime.compute import InlineCompute
    from app.store.database import Database
    from app.store.models.codes import ModelKind

    async def told(_progress: float, _words: str) -> None:
        """Tell nobody."""

    with database_url() as url:
        database = await Database.open(url)
        await database.migrate()
        world = await loading_of(database).load(size=size)
        training = Training(
            database, targets=lambda _condition, _user: True, compute=InlineCompute(), clock=SystemClock(), plan=Plan()
        )
        await training.train([ModelKind.SEND_TIME, ModelKind.OFFER], told=told)
        found = [*await hours(database, world.population), *await amounts(database, world.population)]
        await database.close()
    return found


async def hours(database, population) -> list[Row]:
    """Judge the hour of every user."""
    from app.demo.sending import SENDING_HOURS
    from app.demo.truth import hour_factor
    from app.optimizer.timing import Exploration, Timing
    from app.runtime.clock import SystemClock
    from app.store.campaigns import CampaignStore
    from app.store.learned import LearnedStore

    names = list(population.users.external_id)
    known = await CampaignStore(database).users(names)
    users = [known[name] for name in names]
    timing = Timing(LearnedStore(database), clock=SystemClock(), exploration=Exploration())
    times = await timing.send_times(users)
    peaks = population.users.peak_hour[:, None]
    truth = hour_factor(HOURS[None, :] + 0.5, peaks)
    advised = np.array([times[user.id].hour for user in users])
    by_hour = np.array([times[user.id].by_hour for user in users])
    sent, each = SENDING_HOURS / SENDING_HOURS.sum(), np.arange(len(users))
    value = float((truth[each, advised] / truth.max(axis=1)).mean())
    everyone = int(np.argmax(truth.mean(axis=0)))
    lift = float(truth[each, advised].mean() / (truth @ sent).mean() - 1.0)
    expected = float(by_hour[each, advised].mean() / (by_hour @ sent).mean() - 1.0)
    sends = np.mean([times[user.id].sends for user in users])
    of_everyone = float((truth[:, everyone] / truth.max(axis=1)).mean())
    return [
        Row(
            "demo: value of the hours served",
            "",
            f"{value:.3f}",
            None,
            f"best hour for everyone {of_everyone:.3f}; {sends:.0f} sends each",
        ),
        Row("demo: more opens at the hours served", "", f"{lift:.0%}", None, f"expected by the model {expected:.0%}"),
    ]


async def amounts(database, population) -> list[Row]:
    """Judge the amount of every campaign that tried some."""
    from app.demo.population import AMOUNT_FACTORS
    from app.demo.truth import ORDER_SIGMA, dose
    from app.store.campaigns import CampaignStore
    from app.store.learned import LearnedStore

    curves = await LearnedStore(database).offer_curves()
    keys = {campaign.key: campaign for campaign in population.campaigns}
    known = await CampaignStore(database).campaigns(list(keys))
    lost, within = [], []
    for key, campaign in keys.items():
        curve = curves.get(known[key].id)
        if curve is None:
            continue
        value = population.merchants[campaign.merchant].order * np.exp(ORDER_SIGMA**2 / 2)
        tried = float(campaign.amount) * np.linspace(min(AMOUNT_FACTORS), max(AMOUNT_FACTORS), 200)
        profit = dose(tried) * (value - tried)
        best = float(tried[np.argmax(profit)])
        advised = float(curve.amount)
        reached = float((dose(np.array([advised])) * (value - advised))[0])
        lost.append(1.0 - reached / profit.max() if profit.max() > 0 else 0.0)
        within.append(float(curve.low) - 0.01 <= best <= float(curve.high) + 0.01)
    return [
        Row(
            f"demo: profit lost by the amounts served, {len(lost)} campaigns",
            "",
            f"{np.mean(lost):.1%}",
            None,
            f"at most {max(lost):.1%}; the best amount is within the interval in {sum(within)} of {len(within)}",
        )
    ]


if __name__ == "__main__":
    for found in rows():
        print(*found, sep=" | ")
