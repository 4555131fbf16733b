"""From what is known of a unit to the numbers a regression takes: kept with a policy version, so that it never moves.

The constant 1 comes first. A number is standardised and limited to three standard deviations either way, so that no odd
one moves the fit; where it is missing it stands at the mean. A boolean likewise, as 0 or 1. A text becomes one feature
for each frequent value, and one for any other.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import sqrt
from typing import TypeGuard

import numpy as np

from engine.arrays import FloatArray
from engine.errors import InvalidInput

MOST_FEATURES = 50
LEAST_UNITS = 20  # for a text, or for the lack of a number, to have a feature of its own
LARGEST_NUMBER = 1e15
LONGEST_TEXT = 200  # characters of a text that count
FURTHEST = 3.0  # standard deviations

type Known = Mapping[str, object]
type Code = Callable[[list[float], object], None]


class FeatureKind(StrEnum):
    """What a feature says of its attribute."""

    CONSTANT = "constant"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NO_NUMBER = "no_number"
    NO_BOOLEAN = "no_boolean"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One number of an encoded context.

    Attributes
    ----------
    kind : CONSTANT is 1; NO_NUMBER and NO_BOOLEAN are 1 where it is not known; TEXT is 1 where it has this value, OTHER
        where it has none of those listed
    attribute : its name; empty for the constant
    mean, scale : of a NUMBER, or of a BOOLEAN as 0 or 1: what is taken off, and divided by, positive
    value : of a TEXT
    """

    kind: FeatureKind
    attribute: str = ""
    mean: float = 0.0
    scale: float = 1.0
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSummary:
    """What the units seen so far say of one attribute.

    Attributes
    ----------
    name : the attribute
    units : how many units there are, whether it is known of them or not
    numbers, mean, deviation : of how many it is a number, their mean and standard deviation
    booleans, truths : of how many it is a boolean, and how often true
    texts : of how many it is a text
    frequent : texts with how many units have each
    """

    name: str
    units: int
    numbers: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    booleans: int = 0
    truths: int = 0
    texts: int = 0
    frequent: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Features in their order, the constant first."""

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        """Refuse features that are no encoding."""
        kinds = [feature.kind for feature in self.features]
        if kinds[:1] != [FeatureKind.CONSTANT] or len(kinds) > MOST_FEATURES:
            raise InvalidInput(f"An encoding has a constant first and at most {MOST_FEATURES} features: correct it.")

    @property
    def size(self) -> int:
        """The number of features, d."""
        return len(self.features)

    def encode(self, context: Known) -> list[float]:
        """Return a context as d numbers, whatever is in it: what is missing or odd is taken as unknown."""
        row = self._unknown.copy()
        known = context.get
        for attribute, code in self._codes:
            code(row, known(attribute))
        return row

    def encode_all(self, contexts: Sequence[Known]) -> FloatArray:
        """Return many contexts: shape (n, d)."""
        flat = itertools.chain.from_iterable([self.encode(context) for context in contexts])
        return np.fromiter(flat, np.float64, len(contexts) * self.size).reshape(len(contexts), self.size)

    @cached_property
    def _unknown(self) -> list[float]:
        return [1.0, *(0.0 for _ in self.features[1:])]

    @cached_property
    def _codes(self) -> list[tuple[str, Code]]:
        names = dict.fromkeys(feature.attribute for feature in self.features[1:])
        return [(name, code) for name in names for code in _codes_of(name, self.features)]


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a value is a number that can be encoded: a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def learn_encoding(attributes: Sequence[AttributeSummary]) -> Encoding:
    """Return the encoding of attributes, each by the kind of value that most units have.

    A text has a feature where 20 units have it, the most frequent first, as long as there are no more than 50 features;
    all other texts share one, with the units of which nothing is known. The lack of a number has one where 20 units
    lack it and 20 do not. An attribute that does not vary has none.
    """
    features = [Feature(kind=FeatureKind.CONSTANT)]
    for one in attributes:
        features += _fixed(one)
    spare = MOST_FEATURES - len(features)
    texts = [(-count, at, text) for at, one in enumerate(attributes) for text, count in _listed(one)]
    for _, at, text in sorted(texts)[: max(spare, 0)]:
        features.append(Feature(kind=FeatureKind.TEXT, attribute=attributes[at].name, value=text))
    order = {one.name: at for at, one in enumerate(attributes)}
    return Encoding(features=tuple(sorted(features[:MOST_FEATURES], key=lambda one: order.get(one.attribute, -1))))


def _kind(one: AttributeSummary) -> FeatureKind:
    counts = {FeatureKind.NUMBER: one.numbers, FeatureKind.BOOLEAN: one.booleans, FeatureKind.TEXT: one.texts}
    return max(counts, key=lambda kind: counts[kind])


def _fixed(one: AttributeSummary) -> list[Feature]:
    """Return an attribute's features but for those of its texts."""
    kind = _kind(one)
    if kind is FeatureKind.TEXT:
        return [Feature(kind=FeatureKind.OTHER, attribute=one.name)] if _listed(one) else []
    known = one.numbers if kind is FeatureKind.NUMBER else one.booleans
    features: list[Feature] = []
    mean, scale = _spread(one, kind)
    if scale > 0.0:
        features.append(Feature(kind=kind, attribute=one.name, mean=mean, scale=scale))
    if min(known, one.units - known) >= LEAST_UNITS:
        lack = FeatureKind.NO_NUMBER if kind is FeatureKind.NUMBER else FeatureKind.NO_BOOLEAN
        features.append(Feature(kind=lack, attribute=one.name))
    return features


def _spread(one: AttributeSummary, kind: FeatureKind) -> tuple[float, float]:
    if kind is FeatureKind.NUMBER:
        return one.mean, one.deviation
    share = one.truths / one.booleans if one.booleans else 0.0
    return share, sqrt(share * (1.0 - share))


def _listed(one: AttributeSummary) -> list[tuple[str, int]]:
    if _kind(one) is not FeatureKind.TEXT:
        return []
    return [(text, count) for text, count in one.frequent if LEAST_UNITS <= count < one.units]


def _codes_of(name: str, features: Sequence[Feature]) -> list[Code]:
    own = [(at, feature) for at, feature in enumerate(features) if feature.attribute == name and at > 0]
    texts = {feature.value: at for at, feature in own if feature.kind is FeatureKind.TEXT}
    other = next((at for at, feature in own if feature.kind is FeatureKind.OTHER), None)
    codes = [_text(texts, other)] if texts or other is not None else []
    return codes + [_CODES[feature.kind](at, feature) for at, feature in own if feature.kind in _CODES]


def _text(texts: Mapping[str, int], other: int | None) -> Code:
    def code(row: list[float], value: object) -> None:
        at = texts.get(value[:LONGEST_TEXT], other) if isinstance(value, str) else other
        if at is not None:
            row[at] = 1.0

    return code


def _number(at: int, feature: Feature) -> Code:
    mean, scale = feature.mean, feature.scale

    def code(row: list[float], value: object) -> None:
        if is_number(value):
            row[at] = limited((value - mean) / scale)

    return code


def _boolean(at: int, feature: Feature) -> Code:
    values = {truth: limited((truth - feature.mean) / feature.scale) for truth in (True, False)}

    def code(row: list[float], value: object) -> None:
        if isinstance(value, bool):
            row[at] = values[value]

    return code


def _no_number(at: int, feature: Feature) -> Code:
    del feature

    def code(row: list[float], value: object) -> None:
        row[at] = 0.0 if is_number(value) else 1.0

    return code


def _no_boolean(at: int, feature: Feature) -> Code:
    del feature

    def code(row: list[float], value: object) -> None:
        row[at] = 0.0 if isinstance(value, bool) else 1.0

    return code


def limited(value: float) -> float:
    """Return a standardised number, at most three standard deviations from the mean."""
    return min(max(value, -FURTHEST), FURTHEST)


_CODES: Mapping[FeatureKind, Callable[[int, Feature], Code]] = {
    FeatureKind.NUMBER: _number,
    FeatureKind.BOOLEAN: _boolean,
    FeatureKind.NO_NUMBER: _no_number,
    FeatureKind.NO_BOOLEAN: _no_boolean,
}
