"""Sends and what came of them: an open or a conversion belongs to the last send before it of its user and campaign."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.store.columns import Columns
from app.store.learning import ABSENT
from engine.arrays import FloatArray, IntArray

MICROS = 1_000_000
DAY_MICROS = 86_400 * MICROS
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SendLog:
    """Sends in the order of their time, as columns of shape (n,).

    Attributes
    ----------
    users, campaigns, merchants : the database's ids
    at : microseconds since 1970 (UTC)
    amounts : what was offered, in micros, ABSENT where nothing was said
    probabilities : with what probability the amount was chosen, NaN where it was not drawn
    channels, segments : codes; segments are places in the list of the training, -1 for others
    opened_at, converted_at : first of each that followed, NEVER where none did
    """

    users: IntArray
    campaigns: IntArray
    merchants: IntArray
    at: IntArray
    amounts: IntArray
    probabilities: FloatArray
    channels: IntArray
    segments: IntArray
    opened_at: IntArray
    converted_at: IntArray

    def __len__(self) -> int:
        """Return the number of sends."""
        return len(self.at)

    def take(self, rows: NDArray[Any]) -> "SendLog":
        """Return these sends: a mask, or places in order."""
        return SendLog(**{each.name: getattr(self, each.name)[rows] for each in fields(self)})

    def within(self, outcome_at: IntArray, days: float) -> NDArray[np.bool_]:
        """Return which outcomes came within so many days of their send."""
        return (outcome_at != NEVER) & (outcome_at - self.at <= round(days * DAY_MICROS))


def send_log(sends: Columns, *, opened: Columns, converted: Columns, drawn: Columns) -> SendLog:
    """Return sends with what followed them, and with the amounts that tests of amounts gave their users."""
    order = np.argsort(sends["at"], kind="stable")
    sent = {name: column[order] for name, column in sends.items()}
    amounts, probabilities = _amounts(sent, drawn)
    return SendLog(
        users=sent["user_id"],
        campaigns=sent["campaign_id"],
        merchants=sent["merchant_id"],
        at=sent["at"],
        amounts=amounts,
        probabilities=probabilities,
        channels=sent["channel"],
        segments=sent["segment"],
        opened_at=first_after(sent, opened),
        converted_at=first_after(sent, converted),
    )


def first_after(sends: Columns, events: Columns) -> IntArray:
    """Return when the first event followed each send, before the next send of its user and campaign."""
    places = latest_before(events, sends)
    known = np.flatnonzero(places >= 0)
    first = np.full(len(sends["at"]), NEVER)
    np.minimum.at(first, places[known], events["at"][known])
    return first


def latest_before(asked: Columns, events: Columns) -> IntArray:
    """Return for each asked row the place of the last event, not after it, of its user and campaign; -1 for none."""
    count, total = len(events["at"]), len(events["at"]) + len(asked["at"])
    if not count or count == total:
        return np.full(total - count, -1)
    users, campaigns, at = (np.concatenate([events[name], asked[name]]) for name in ("user_id", "campaign_id", "at"))
    is_event = np.arange(total) < count
    order = np.lexsort((~is_event, at, campaigns, users))
    place = np.maximum.accumulate(np.where(is_event[order], np.arange(total), -1))
    found = order[place]
    same = (place >= 0) & (users[found] == users[order]) & (campaigns[found] == campaigns[order])
    result = np.empty(total, dtype=np.int64)
    result[order] = np.where(same, found, -1)
    return result[count:]


def _amounts(sent: Columns, drawn: Columns) -> tuple[IntArray, FloatArray]:
    """Return what each send offered: what a test gave its user from the exposure on, else what the send itself says.

    What the test gave counts even where something else was sent: only that was chosen by lot.
    """
    places = latest_before(sent, drawn)
    tested = places >= 0
    if len(drawn["at"]):
        tested &= sent["at"] < drawn["until"][places]
    amounts, probabilities = sent["amount"].copy(), sent["probability"].copy()
    amounts[tested] = drawn["amount"][places[tested]]
    probabilities[tested] = drawn["probability"][places[tested]]
    probabilities[amounts == ABSENT] = np.nan
    return amounts, probabilities
