"""Open rates by local hour, learned: from sends to the rows of users, segments and everyone."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.optimizer.threads import one_thread
from app.store.triples import triple
from engine.arrays import FloatArray, IntArray
from engine.errors import NotEnoughData
from engine.learning.advice import hour_gain
from engine.learning.send_times import SendTimeAdvice, SendTimeModel, fit_send_times
from engine.learning.weekdays import advise_weekday

HOURS, WEEK = 24, 7
LEARNING_USERS = 1_000
"""Shapes are learned from so many users at most, drawn at random: they describe the population, not each user."""
CHECKED_USERS = 500
"""And from so many where it is only tried how well they foretell."""
USERS_AT_ONCE = 2_000
"""What is known of a user's hours takes 4.6 kB while it is worked out."""
EARLY_SHARE = 2.0 / 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SendTimeInputs:
    """Sends with the local hour of each.

    Attributes
    ----------
    users : places from 0, shape (n,), `user_ids` their ids, shape (u,)
    segments : each user's place in `segment_names`, -1 for none, shape (u,)
    hours : of the user's clock at the time of sending, shape (n,)
    days : by the user's calendar, counted from a Monday, shape (n,)
    opened : whether it was opened in time, shape (n,)
    at : microseconds since 1970, in order, shape (n,)
    quiet : local hours at which nothing is sent
    """

    users: IntArray
    user_ids: IntArray
    segments: IntArray
    segment_names: tuple[str, ...]
    hours: IntArray
    days: IntArray
    opened: FloatArray
    at: IntArray
    quiet: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTimeRow:
    """One row of predictions: of a user, a segment, or, where both are None, everyone."""

    user_id: int | None
    segment: str | None
    sends: int
    advice: SendTimeAdvice


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedSendTimes:
    """What came of a training; `weekday` is from 0 for Monday, None where no day is shown to be better."""

    rows: tuple[SendTimeRow, ...]
    weekday: int | None
    scores: dict[str, Any]


@one_thread()
def learn_send_times(inputs: SendTimeInputs, *, seed: int) -> LearnedSendTimes:
    """Return everyone's, each segment's and each user's advice. Raises NotEnoughData where nothing can be learned."""
    opened, sent = _counts(inputs, np.arange(len(inputs.at)))
    model = _fit(inputs, opened, sent, most=LEARNING_USERS, seed=seed)
    users = tuple(_user_rows(model, inputs, opened, sent))
    evidence = Counter(str(row.advice.evidence) for row in users)
    weekday, found = _weekday(inputs, users)
    return LearnedSendTimes(
        rows=(*_common_rows(model, inputs, sent), *users),
        weekday=weekday,
        scores=_scores(inputs, seed=seed) | {"users_by_evidence": dict(evidence), "weekday": found},
    )


def _weekday(inputs: SendTimeInputs, users: Sequence[SendTimeRow]) -> tuple[int | None, dict[str, Any]]:
    """Return the day of the week that later weeks bear out, if any, and what is known of it."""
    rates = np.zeros((len(inputs.user_ids), HOURS))
    rates[np.searchsorted(inputs.user_ids, [row.user_id or 0 for row in users])] = [row.advice.by_hour for row in users]
    cells = inputs.days - WEEK * int(inputs.days.min() // WEEK)
    weeks = int(cells.max()) // WEEK + 1
    opened, expected = (
        np.bincount(cells, weights=weights, minlength=weeks * WEEK).reshape(weeks, WEEK)
        for weights in (inputs.opened, rates[inputs.users, inputs.hours])
    )
    try:
        advice = advise_weekday(opened, expected)
    except NotEnoughData as refusal:
        return None, {"reason": str(refusal)}
    return advice.weekday, {"lift": triple(advice.lift), "reason": advice.reason}


def _fit(inputs: SendTimeInputs, opened: FloatArray, sent: FloatArray, *, most: int, seed: int) -> SendTimeModel:
    """Fit the shapes; users without a segment are a segment of their own while it lasts."""
    seen = np.flatnonzero(sent.sum(axis=1) > 0.0)
    if seen.size > most:
        seen = np.sort(np.random.default_rng(seed).choice(seen, most, replace=False))
    segments = np.where(inputs.segments < 0, len(inputs.segment_names), inputs.segments)[seen]
    return fit_send_times(opened[seen], sent[seen], segments=segments)


def _counts(inputs: SendTimeInputs, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return opened and sent by user and hour: shape (u, 24) each."""
    cells = inputs.users[rows] * HOURS + inputs.hours[rows]
    size = len(inputs.user_ids) * HOURS
    opened = np.bincount(cells, weights=inputs.opened[rows], minlength=size)
    return opened.reshape(-1, HOURS), np.bincount(cells, minlength=size).reshape(-1, HOURS).astype(np.float64)


def _common_rows(model: SendTimeModel, inputs: SendTimeInputs, sent: FloatArray) -> Iterator[SendTimeRow]:
    names: list[str | None] = [None, *inputs.segment_names]
    known = [-1, *range(len(inputs.segment_names))]
    nothing = np.zeros((1, HOURS))
    for name, place in zip(names, known, strict=True):
        if place < len(model.segment_sends) and name != "":
            advice = model.advise(nothing, nothing, segments=[place], quiet=inputs.quiet)[0]
            mine = np.ones(len(inputs.segments), dtype=bool) if name is None else inputs.segments == place
            yield SendTimeRow(user_id=None, segment=name, sends=int(sent[mine].sum()), advice=advice)


def _user_rows(
    model: SendTimeModel, inputs: SendTimeInputs, opened: FloatArray, sent: FloatArray
) -> Iterator[SendTimeRow]:
    sends = sent.sum(axis=1)
    for block in _blocks(np.flatnonzero(sends > 0.0)):
        advised = _advise(model, inputs, opened[block], sent[block], block)
        for user, advice in zip(block.tolist(), advised, strict=True):
            user_id = int(inputs.user_ids[user])
            yield SendTimeRow(user_id=user_id, segment=None, sends=int(sends[user]), advice=advice)


def _advise(
    model: SendTimeModel, inputs: SendTimeInputs, opened: FloatArray, sent: FloatArray, users: IntArray
) -> Sequence[SendTimeAdvice]:
    segments = inputs.segments[users]
    known = np.where(segments < len(model.segment_sends), segments, -1)
    return model.advise(opened, sent, segments=known, quiet=inputs.quiet)


def _blocks(users: IntArray) -> Iterator[IntArray]:
    for start in range(0, len(users), USERS_AT_ONCE):
        yield users[start : start + USERS_AT_ONCE]


def _scores(inputs: SendTimeInputs, *, seed: int) -> dict[str, Any]:
    """Return how well the last third of sends was foretold by the first two, beside simpler forecasts of it."""
    split = round(len(inputs.at) * EARLY_SHARE)
    early, late = np.arange(split), np.arange(split, len(inputs.at))
    opened, sent = _counts(inputs, early)
    try:
        model = _fit(inputs, opened, sent, most=CHECKED_USERS, seed=seed)
    except NotEnoughData as refusal:
        return {"held_out_sends": 0, "reason": str(refusal)}
    seen = np.unique(inputs.users[late])
    chosen, rates, everyone = _foretold(model, inputs, opened, sent, users=seen)
    judged = [counts[seen] for counts in _counts(inputs, late)]
    happened, hours = inputs.opened[late], inputs.hours[late]
    return {
        "held_out_sends": len(late),
        "open_rate": float(happened.mean()),
        "log_loss": _log_loss(rates[inputs.users[late], hours], happened),
        "log_loss_by_everyones_hours": _log_loss(everyone[hours], happened),
        "log_loss_by_one_rate": _log_loss(np.full(len(late), inputs.opened[early].mean()), happened),
        "at_advised_hours": _at_advised_hours(*judged, hours=chosen[seen], rates=rates[seen]),
    }


def _at_advised_hours(opened: FloatArray, sent: FloatArray, *, hours: IntArray, rates: FloatArray) -> dict[str, Any]:
    """Return what sends that the model had not seen say of the hours it advises."""
    try:
        found = hour_gain(opened, sent, hours=hours, rates=rates)
    except NotEnoughData as refusal:
        return {"reason": str(refusal)}
    return {
        "sends": found.sends,
        "more_opens": triple(found.gain),
        "foretold": found.foretold,
        "borne_out": None if found.borne_out is None else triple(found.borne_out),
    }


def _foretold(
    model: SendTimeModel, inputs: SendTimeInputs, opened: FloatArray, sent: FloatArray, *, users: IntArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the hours advised to these users, the open rates foretold by hour (others' are 0), and everyone's."""
    hours, rates = np.zeros(len(inputs.user_ids), dtype=np.int64), np.zeros((len(inputs.user_ids), HOURS))
    for block in _blocks(users):
        advised = _advise(model, inputs, opened[block], sent[block], block)
        hours[block] = [advice.hour for advice in advised]
        rates[block] = [advice.by_hour for advice in advised]
    nothing = np.zeros((1, HOURS))
    return hours, rates, np.array(model.advise(nothing, nothing, segments=[-1])[0].by_hour)


def _log_loss(rates: FloatArray, happened: FloatArray) -> float:
    clipped = np.clip(rates, 1e-9, 1.0 - 1e-9)
    return float(-np.mean(np.where(happened > 0.0, np.log(clipped), np.log1p(-clipped))))
