"""Which parts of a test are read for what is selected of it. A field that is not named here needs the whole test."""

from collections.abc import Mapping
from functools import lru_cache

from app.store.abtest_parts import TOTALLED, WHOLE, Part, Parts
from graph.fields import REMEMBERED, Wanted

_NOTHING: Parts = frozenset()
_DETAILS: Parts = frozenset({Part.DETAILS})
_VARIANTS: Parts = frozenset({Part.VARIANTS})
_METRICS: Parts = frozenset({Part.METRICS})
_NEEDED: Mapping[str, Parts] = {
    **dict.fromkeys(
        (
            *("id", "key", "name", "status", "confidenceLevel", "allocationPolicy", "coverage", "startedAt"),
            *("campaign", "segments", "__typename"),
        ),
        _NOTHING,
    ),
    **dict.fromkeys(
        ("hypothesis", "minimumDetectableEffect", "targetSampleSize", "holdout", "createdAt", "endedAt"), _DETAILS
    ),
    **dict.fromkeys(("variants", "control"), _VARIANTS),
    "winner": _VARIANTS | _DETAILS,
    **dict.fromkeys(("metric", "guardrails"), _METRICS),
}
_TEST, _RESULTS = "ABTest.", "TestResults."
_TOTALS_ALONE = frozenset({"asOf", "totals", "__typename"})


@lru_cache(REMEMBERED)
def parts_of(wanted: Wanted) -> Parts:
    """Return what is to be read of tests, given what is selected of them and below."""
    needed = _needed(wanted)
    return _NOTHING.union(*(needed.get(name, WHOLE) for name in _below(wanted, _TEST)))


@lru_cache(REMEMBERED)
def totals_suffice(wanted: Wanted) -> bool:
    """Tell whether nothing but totals is selected of results."""
    return _TOTALS_ALONE.issuperset(_below(wanted, _RESULTS))


def _below(wanted: Wanted, type_: str) -> list[str]:
    """Return the fields of a type, which is named with its dot, by name alone."""
    return [one.removeprefix(type_) for one in wanted if one.startswith(type_)]


def _needed(wanted: Wanted) -> Mapping[str, Parts]:
    # with arguments, results need the whole test although they are asked for totals alone: they read it themselves
    return {**_NEEDED, "results": TOTALLED} if totals_suffice(wanted) else _NEEDED
