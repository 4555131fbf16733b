"""Send hours: real daily profiles as the truth of simulated opens, and next month's events of two real logs.

The truth: the daily profiles of the 110 users of foursquare_nyc with most check-ins, smoothed around the clock by a
normal of an hour, scaled so that a send at a random hour is opened one time in five. Ten users follow each profile;
opens are drawn, sends go out at random hours. Value: the true open probability at the advised hour over the best one's.
Lift: opens over those at the best single hour for everyone. The Bayes bound knows all 110 profiles, and not which is
whose. Skewed: 70 % of 90 sends go out from 10 to 12, and opens are compared with those at each user's hour of most
opens, at everyone's, at the schedule itself, and at everyone's truly best hour. Who knows the profiles gains less than
50 % over each user's hour of most opens, so that the target is read as over everyone's, and over the schedule.

The logs: hours of all but the last 30 days learn, events of the last 30 days within an hour of the advice judge.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from bench.optimizer_data import Row
from engine.arrays import FloatArray, IntArray
from engine.learning.send_times import fit_send_times

PROFILES, FOLLOWERS, OPEN_RATE = 110, 10, 0.2
CEILING = 0.95
TARGETS = {10: 0.69, 30: 0.77, 90: 0.85, 270: 0.93}


def check_ins(data: Path) -> pd.DataFrame | None:
    """Return user, venue, day and local hour of each check-in; None where the data is absent."""
    path = data / "foursquare_nyc" / "NYC.npy"
    if not path.exists():
        return None
    user, venue, minutes = np.load(path).T
    start = datetime(2012, 4, 3, 18, tzinfo=UTC)
    hours = pd.DatetimeIndex(pd.Timestamp(start) + pd.to_timedelta(minutes, unit="min"))
    local = hours.tz_convert(ZoneInfo("America/New_York"))
    return pd.DataFrame({"user": user, "item": venue, "day": minutes / 1440.0, "hour": local.hour})


def baskets(data: Path) -> pd.DataFrame | None:
    """Return household, store, day and hour of each basket; None where the data is absent."""
    path = data / "completejourney" / "transactions.parquet"
    if not path.exists():
        return None
    columns = ["household_id", "store_id", "basket_id", "transaction_timestamp"]
    lines = pd.read_parquet(path, columns=columns).drop_duplicates("basket_id")
    when = pd.to_datetime(lines["transaction_timestamp"])
    day = (when - when.min()) / timedelta(days=1)
    return pd.DataFrame({"user": lines["household_id"], "item": lines["store_id"], "day": day, "hour": when.dt.hour})


def hour_counts(events: pd.DataFrame, users: IntArray) -> FloatArray:
    """Return on how many days each user did something at each hour: shape (n, 24)."""
    once = events.assign(day=events["day"].astype(int)).drop_duplicates(["user", "day", "hour"])
    counts = np.zeros((users.size, 24))
    np.add.at(counts, (np.searchsorted(users, once["user"]), once["hour"].to_numpy()), 1.0)
    return counts


def true_rates(events: pd.DataFrame) -> FloatArray:
    """Return the open probabilities of the profiles: shape (110, 24)."""
    users = np.unique(events["user"])
    counts = hour_counts(events, users)
    counts = counts[np.argsort(-counts.sum(axis=1), kind="stable")[:PROFILES]]
    apart = np.abs(np.arange(24)[:, None] - np.arange(24))
    kernel = np.exp(-0.5 * np.minimum(apart, 24 - apart) ** 2)
    shape = counts @ (kernel / kernel.sum(axis=0))
    return np.minimum(OPEN_RATE * shape / shape.mean(axis=1, keepdims=True), CEILING)


def bayes_hours(profiles: FloatArray, opened: FloatArray, sent: FloatArray) -> IntArray:
    """Return each user's best hour to one who knows the profiles."""
    likelihood = opened @ np.log(profiles.T) + (sent - opened) @ np.log1p(-profiles.T)
    weights = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    return np.argmax((weights / weights.sum(axis=1, keepdims=True)) @ profiles, axis=1)


def simulate(
    rates: FloatArray, rng: np.random.Generator, sends: int, odds: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return opens and sends by user and hour."""
    sent = rng.multinomial(sends, odds, size=len(rates))
    return rng.binomial(sent, rates).astype(float), sent.astype(float)


def at_hours(rates: FloatArray, hours: IntArray) -> FloatArray:
    return rates[np.arange(len(rates)), hours]


def advised(opened: FloatArray, sent: FloatArray, within: int = 0) -> IntArray:
    model = fit_send_times(opened, sent)
    advice = model.advise(opened, sent, segments=np.zeros(len(opened), dtype=int), within=within)
    return np.array([each.hour for each in advice])


def near(hours: IntArray, others: IntArray) -> FloatArray:
    apart = np.abs(hours - others)
    return np.minimum(apart, 24 - apart) <= 1


def simulated_rows(events: pd.DataFrame, repeats: int) -> list[Row]:
    profiles = true_rates(events)
    rates = np.repeat(profiles, FOLLOWERS, axis=0)
    best, everyone = rates.max(axis=1), rates[:, int(np.argmax(rates.mean(axis=0)))]
    result = []
    for sends, target in TARGETS.items():
        seen = []
        for seed in range(repeats):
            opened, sent = simulate(rates, np.random.default_rng([seed, sends]), sends, np.full(24, 1 / 24))
            ours, bound = advised(opened, sent), bayes_hours(profiles, opened, sent)
            hits = near(ours, rates.argmax(axis=1)).mean()
            seen.append(
                [(at_hours(rates, hours) / best).mean() for hours in (ours, bound)]
                + [at_hours(rates, hours).mean() / everyone.mean() - 1.0 for hours in (ours, bound)]
                + [hits]
            )
        value, most, lift, most_lift, hits = np.mean(seen, axis=0)
        beside = f"Bayes bound {most:.3f}; best global hour {(everyone / best).mean():.3f}; within an hour {hits:.2f}"
        result.append(
            Row(f"hour: value at {sends} sends", f"at least {target:.2f}", f"{value:.3f}", value >= target, beside)
        )
        least = 0.35 if sends == 90 else -np.inf
        result.append(
            Row(
                f"hour: lift at {sends} sends",
                "at least 35%" if sends == 90 else "",
                f"{lift:.0%}",
                lift >= least if sends == 90 else None,
                f"Bayes bound {most_lift:.0%}",
            )
        )
    return [*result, *skewed_rows(profiles, rates, repeats)]


def skewed_rows(profiles: FloatArray, rates: FloatArray, repeats: int) -> list[Row]:
    odds = np.full(24, 0.3 / 21)
    odds[10:13] = 0.7 / 3
    seen = []
    for seed in range(repeats):
        opened, sent = simulate(rates, np.random.default_rng([seed, 1]), 90, odds)
        others = (
            at_hours(rates, opened.argmax(axis=1)).mean(),
            rates[:, opened.sum(axis=0).argmax()].mean(),
            (rates @ odds).mean(),
            rates.mean(axis=0).max(),
        )
        reached = [
            at_hours(rates, hours).mean() for hours in (advised(opened, sent), bayes_hours(profiles, opened, sent))
        ]
        seen.append([[each / other - 1.0 for other in others] for each in reached])
    ours, bound = np.mean(seen, axis=0)
    over = (
        "each user's hour of most opens",
        "everyone's hour of most opens",
        "the schedule as it was",
        "the truly best hour for everyone",
    )
    return [
        Row(
            f"hour: 70% of 90 sends at 10-12, opens over {name}",
            "at least 50%" if place in (1, 2) else "",
            f"{ours[place]:.0%}",
            ours[place] >= 0.5 if place in (1, 2) else None,
            f"Bayes bound {bound[place]:.0%}",
        )
        for place, name in enumerate(over)
    ]


def real_row(name: str, events: pd.DataFrame, target: float) -> Row:
    split = events["day"].max() - 30.0
    before, after = events[events["day"] < split], events[events["day"] >= split]
    users = np.unique(before["user"])
    after = after[np.isin(after["user"], users)]
    counts = hour_counts(before, users)
    days = np.full(counts.shape, np.ceil(split))
    place, hour = np.searchsorted(users, after["user"]), after["hour"].to_numpy()
    share = near(advised(counts, days, within=1)[place], hour).mean()
    windows = sum(np.roll(counts, step, axis=1) for step in (-1, 0, 1))
    later = hour_counts(after, users)
    oracle = sum(np.roll(later, step, axis=1) for step in (-1, 0, 1)).max(axis=1).sum() / later.sum()
    beside = (
        f"everyone's hour {near(np.full(hour.size, int(windows.sum(axis=0).argmax())), hour).mean():.3f}; "
        f"own counts {near(windows.argmax(axis=1)[place], hour).mean():.3f}; oracle {oracle:.3f}"
    )
    return Row(
        f"hour: {name}, next month within an hour", f"at least {target}", f"{share:.3f}", share >= target, beside
    )


def rows(data: Path, repeats: int) -> list[Row]:
    """Return the table's rows."""
    venues, stores = check_ins(data), baskets(data)
    result = [] if venues is None else [*simulated_rows(venues, repeats), real_row("foursquare_nyc", venues, 0.31)]
    if stores is not None:
        result.append(real_row("completejourney", stores, 0.355))
    return result or [Row("hour", "", "skipped: no data", None)]
