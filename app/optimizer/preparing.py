"""From an extract to what each kind of model learns from: arrays that a compute process takes."""

from collections.abc import Sequence

import numpy as np

from app.optimizer.effects import EffectInputs, EffectTrial
from app.optimizer.extracting import Extract
from app.optimizer.local_hours import micros
from app.optimizer.offers import OfferInputs
from app.optimizer.response import Candidates, ResponseInputs
from app.optimizer.send_times import HOURS, SendTimeInputs
from app.optimizer.sends import DAY_MICROS, MICROS, NEVER
from app.optimizer.trials import MOST_UNITS, Trial
from app.optimizer.visits import VisitInputs
from app.store.learning import ABSENT
from app.store.models.codes import EventType
from engine.arrays import FloatArray, IntArray
from engine.errors import NotEnoughData
from engine.learning.features import Offers, Purchases, Sends

NOON = 12
NO_SENDS = "No send of the last {days:g} days has had its {outcome:g} days to be answered: train later."


def send_time_inputs(extract: Extract, *, quiet: tuple[int, ...]) -> SendTimeInputs:
    """Return sends with their local hours, and which were opened in time. Those of the last day still may be."""
    log = extract.sends
    kept = np.flatnonzero(log.at + DAY_MICROS <= micros(extract.span.end))
    return SendTimeInputs(
        users=extract.send_users[kept],
        user_ids=extract.user_ids,
        segments=extract.user_segments,
        segment_names=extract.segments,
        hours=extract.send_hours[kept],
        days=extract.send_days[kept],
        opened=log.within(log.opened_at, extract.outcome_days)[kept].astype(np.float64),
        at=log.at[kept],
        quiet=quiet,
    )


def visit_inputs(extract: Extract) -> VisitInputs:
    """Return who came to which merchant on which day, of the window; a day counts once."""
    start, visits = micros(extract.span.start), extract.visits
    kept = (visits["at"] >= start) & (visits["merchant_id"] != ABSENT)
    columns = (visits["user_id"], visits["merchant_id"], (visits["at"] - start) // DAY_MICROS)
    once = np.unique(np.column_stack([column[kept] for column in columns]), axis=0)
    users, of_user = np.unique(once[:, 0], return_inverse=True)
    merchants, of_merchant = np.unique(once[:, 1], return_inverse=True)
    return VisitInputs(
        users=of_user.astype(np.int64),
        user_ids=users,
        merchants=of_merchant.astype(np.int64),
        merchant_ids=merchants,
        days=once[:, 2].astype(np.float64),
        now=extract.end_day,
        positions=_positions(extract, merchants),
    )


def _positions(extract: Extract, merchants: IntArray) -> FloatArray | None:
    """Return where merchants are, where that is known of all."""
    found = [extract.merchants[merchant] for merchant in merchants.tolist()]
    places = [(one.latitude, one.longitude) for one in found if one.latitude is not None and one.longitude is not None]
    return np.array(places, dtype=np.float64) if places and len(places) == len(found) else None


def engine_sends(extract: Extract) -> Sends:
    """Return all sends as the engine's features take them; an amount that nobody said counts as the campaign's."""
    log = extract.sends
    return Sends(
        offers=Offers(
            users=extract.send_users,
            merchants=merchant_places(extract, log.merchants),
            segments=segment_places(extract, log.segments),
            amounts=_said_amounts(extract) / MICROS,
            days=extract.days(log.at),
            hours=extract.send_hours,
        ),
        opened=_outcome_days(extract, log.opened_at),
        responded=_outcome_days(extract, log.converted_at),
    )


def engine_purchases(extract: Extract) -> Purchases:
    """Return what users bought, also before the window."""
    visits = extract.visits
    bought = visits["kind"] == EventType.CONVERTED
    return Purchases(
        users=np.searchsorted(extract.user_ids, visits["user_id"][bought]),
        merchants=merchant_places(extract, visits["merchant_id"][bought]),
        days=extract.days(visits["at"][bought]),
        values=np.maximum(visits["value"][bought], 0) / MICROS,
    )


def merchant_places(extract: Extract, merchants: IntArray) -> IntArray:
    """Return merchants by number from 1 on; 0 for one that is not known."""
    ids = np.array(sorted(extract.merchants), dtype=np.int64)
    places = np.searchsorted(ids, merchants)
    known = (places < len(ids)) & (ids[np.minimum(places, max(len(ids) - 1, 0))] == merchants) if len(ids) else False
    return np.where(known, places + 1, 0).astype(np.int64)


def segment_places(extract: Extract, segments: IntArray) -> IntArray:
    """Return segments by number from 0 on, the last being that of users whose segment is not known."""
    return np.where(segments < 0, len(extract.segments), segments).astype(np.int64)


def offer_inputs(extract: Extract) -> OfferInputs:
    """Return sends with the amounts they offered. Raises NotEnoughData where none has had its time."""
    rows = known_sends(extract)
    log = extract.sends.take(rows)
    kept = np.flatnonzero((log.amounts >= 0) & np.isin(log.campaigns, list(extract.campaigns)))
    log = log.take(kept)
    campaigns = [extract.campaigns[campaign] for campaign in np.unique(log.campaigns).tolist()]
    return OfferInputs(
        campaigns=log.campaigns,
        amounts=log.amounts,
        drawn=np.isfinite(log.probabilities),
        converted=log.within(log.converted_at, extract.outcome_days).astype(np.float64),
        rows=rows[kept],
        sends=engine_sends(extract),
        purchases=engine_purchases(extract),
        outcome_days=extract.outcome_days,
        currencies={one.id: one.currency for one in campaigns},
        merchants={one.id: one.merchant_id for one in campaigns},
        values=_values(extract),
    )


def known_sends(extract: Extract) -> IntArray:
    """Return the places of sends whose outcome is known."""
    if not extract.known.size:
        days = (extract.span.end - extract.span.start).days
        raise NotEnoughData(NO_SENDS.format(days=days, outcome=extract.outcome_days))
    return extract.known


def _values(extract: Extract) -> dict[int, tuple[int, int]]:
    """Return by campaign how many conversions had a value, and the values' sum in micros."""
    said = extract.converted["value"] >= 0
    campaigns, places = np.unique(extract.converted["campaign_id"][said], return_inverse=True)
    counts = np.bincount(places, minlength=len(campaigns))
    sums = np.zeros(len(campaigns), dtype=np.int64)
    np.add.at(sums, places, extract.converted["value"][said])
    return dict(zip(campaigns.tolist(), zip(counts.tolist(), sums.tolist(), strict=True), strict=True))


def _said_amounts(extract: Extract) -> IntArray:
    log = extract.sends
    ids = np.array(sorted(extract.campaigns), dtype=np.int64)
    amounts = np.array([extract.campaigns[campaign].offer_micros for campaign in ids.tolist()], dtype=np.int64)
    own = amounts[np.searchsorted(ids, log.campaigns)] if len(ids) else np.zeros(len(log), dtype=np.int64)
    return np.where(log.amounts == ABSENT, own, log.amounts)


def _outcome_days(extract: Extract, at: IntArray) -> FloatArray:
    return np.where(at == NEVER, np.nan, extract.days(np.where(at == NEVER, 0, at)))


def response_inputs(extract: Extract) -> ResponseInputs:
    """Return sends to learn from, and every user and live campaign to be ranked. Raises NotEnoughData as offers do."""
    return _response_inputs(extract, rows=known_sends(extract))


def ranking_inputs(extract: Extract) -> ResponseInputs:
    """Return every user and live campaign to be ranked by a model that is learned already."""
    return _response_inputs(extract, rows=np.empty(0, dtype=np.int64))


def _response_inputs(extract: Extract, *, rows: IntArray) -> ResponseInputs:
    return ResponseInputs(
        sends=engine_sends(extract),
        purchases=engine_purchases(extract),
        rows=rows,
        outcome_days=extract.outcome_days,
        candidates=candidates(extract),
    )


def candidates(extract: Extract) -> Candidates:
    """Return whom could be sent what at the window's end: every user at the usual hour, every live campaign."""
    live = [campaign for _, campaign in sorted(extract.campaigns.items()) if campaign.live]
    return Candidates(
        user_ids=extract.user_ids,
        segments=segment_places(extract, extract.user_segments),
        hours=usual_hours(extract),
        campaign_ids=np.array([campaign.id for campaign in live], dtype=np.int64),
        merchants=merchant_places(extract, np.array([campaign.merchant_id for campaign in live], dtype=np.int64)),
        amounts=np.array([campaign.offer_micros / MICROS for campaign in live]),
        day=extract.end_day,
    )


def effect_inputs(extract: Extract, *, seed: int) -> EffectInputs:
    """Return the trials of campaigns, with what was known of each unit when it was, or was not, treated."""
    return EffectInputs(
        trials=tuple(
            _effect_trial(extract, split.campaign_id, split.treatment, split.trial.some(MOST_UNITS, seed=seed))
            for split in extract.splits
            if split.trial is not None and split.campaign_id in extract.campaigns
        ),
        sends=engine_sends(extract),
        purchases=engine_purchases(extract),
        outcome_days=extract.outcome_days,
        candidates=candidates(extract),
    )


def _effect_trial(extract: Extract, campaign_id: int, treatment: str, trial: Trial) -> EffectTrial:
    campaign, units = extract.campaigns[campaign_id], len(trial)
    merchant = merchant_places(extract, np.array([campaign.merchant_id], dtype=np.int64))
    return EffectTrial(
        campaign_id=campaign_id,
        treatment=treatment,
        offers=Offers(
            users=_user_places(extract, trial.user_ids),
            merchants=np.repeat(merchant, units),
            segments=segment_places(extract, _named_segments(extract, trial.segments)),
            amounts=np.full(units, campaign.offer_micros / MICROS),
            days=extract.days(trial.at),
            hours=np.full(units, _everyones_hour(extract), dtype=np.int64),
        ),
        treated=trial.treated,
        converted=trial.converted,
        propensity=trial.propensity,
        by_day=len(np.unique(trial.at)) > 1,
    )


def _user_places(extract: Extract, user_ids: IntArray) -> IntArray:
    """Return users by place in the extract; one of whom it knows nothing stands after all others."""
    places = np.searchsorted(extract.user_ids, user_ids)
    last = len(extract.user_ids)
    if not last:
        return np.zeros(len(user_ids), dtype=np.int64)
    return np.where(extract.user_ids[np.minimum(places, last - 1)] == user_ids, places, last).astype(np.int64)


def _named_segments(extract: Extract, names: Sequence[str]) -> IntArray:
    known = {name: place for place, name in enumerate(extract.segments) if name}
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)


def _everyones_hour(extract: Extract) -> int:
    """Return the local hour at which most was sent."""
    return int(np.bincount(extract.send_hours, minlength=HOURS).argmax()) if len(extract.sends) else NOON


def usual_hours(extract: Extract) -> IntArray:
    """Return the local hour at which each user was sent to most often; everyone's for those never sent to."""
    counts = np.bincount(extract.send_users * HOURS + extract.send_hours, minlength=len(extract.user_ids) * HOURS)
    by_user = counts.reshape(-1, HOURS)
    return np.where(by_user.any(axis=1), by_user.argmax(axis=1), _everyones_hour(extract)).astype(np.int64)
