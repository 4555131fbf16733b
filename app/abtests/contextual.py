"""What a contextual bandit decides by: a unit's context, and the model that a policy version keeps.

The model is kept whole as JSON: the encoding, and each arm's posterior. With it, the floor, the coverage and the
context that is logged with a unit, the unit's probabilities can be worked out again at any time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import numpy as np

from engine.arrays import FloatArray
from engine.assignment.allocation import Parts, parts
from engine.bandits.encoding import LONGEST_TEXT, Encoding, Feature, FeatureKind, Known, is_number
from engine.bandits.linear import LinearPosterior

REMEMBERED = 4_096
"""Encoded contexts whose parts are remembered: units of which the same is known are many."""

type Context = Mapping[str, str | float | bool | None]


def context_of(names: Sequence[str], attributes: Mapping[str, object]) -> dict[str, str | float | bool | None]:
    """Return what is known of these attributes: null for what is missing, or is no number, boolean or text."""
    return {name: _usable(attributes.get(name)) for name in names}


def _usable(value: object) -> str | float | bool | None:
    if isinstance(value, str):
        text = value[:LONGEST_TEXT]
        return text if _storable(text) else None
    return value if isinstance(value, bool) or is_number(value) else None


def _storable(text: str) -> bool:
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class ContextualModel:
    """A policy version, ready to decide."""

    encoding: Encoding
    posterior: LinearPosterior
    floor: float
    coverage: float = 1.0
    _known: dict[bytes, Parts] = field(default_factory=dict[bytes, Parts], repr=False)

    def parts(self, context: Known) -> Parts:
        """Return a unit's own parts of the line, by its context; the same for the same context, always."""
        return self.parts_of_all([context])[0]

    def parts_of_all(self, contexts: Sequence[Known]) -> list[Parts]:
        """Return the same of many units: together they cost little more than one does.

        What is known of a unit may be passed as it is: what `context_of` would change, encodes alike.
        """
        rows = self.encoding.encode_all(contexts)
        keys = [row.tobytes() for row in rows]
        found = [self._known.get(key) for key in keys]
        new = [at for at, known in enumerate(found) if known is None]
        if new:
            made = parts(self.shares(rows if len(new) == len(keys) else rows[new]), coverage=self.coverage)
            for at, one in zip(new, made, strict=True):
                found[at] = one
            self._remember((keys[at] for at in new), made)
        return cast("list[Parts]", found)

    def _remember(self, keys: Iterable[bytes], made: Sequence[Parts]) -> None:
        if len(self._known) + len(made) > REMEMBERED:
            self._known.clear()
        self._known.update(zip(keys, made, strict=True))

    def shares(self, rows: FloatArray) -> FloatArray:
        """Return the shares of encoded contexts, before they are rounded to the line: shape (n, k)."""
        weights = self.posterior.weights(rows)
        return self.floor + (1.0 - weights.shape[1] * self.floor) * weights


def stored_model(encoding: Encoding, posterior: LinearPosterior) -> dict[str, Any]:
    """Return what a policy version keeps; numbers come back from it to the last bit."""
    return {
        "features": [asdict(feature) for feature in encoding.features],
        "coefficients": posterior.coefficients.tolist(),
        "precisions": posterior.precisions.tolist(),
    }


def model_of(stored: Mapping[str, Any], *, floor: float, coverage: float = 1.0) -> ContextualModel:
    """Return the model that a policy version keeps."""
    features = [replace(Feature(**feature), kind=FeatureKind(feature["kind"])) for feature in stored["features"]]
    posterior = LinearPosterior(
        coefficients=np.array(stored["coefficients"], np.float64), precisions=np.array(stored["precisions"], np.float64)
    )
    return ContextualModel(
        encoding=Encoding(features=tuple(features)), posterior=posterior, floor=floor, coverage=coverage
    )
