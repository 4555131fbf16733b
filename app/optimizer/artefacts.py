"""The response model as bytes that are safe to load: skops, with every type it may hold on a list. Never a pickle."""

from typing import Any

from app.errors import InvalidInput, Unavailable
from engine.learning.learners import Learner
from engine.learning.response import ResponseModel

MOST_BYTES = 32_000_000
TRUSTED = frozenset({"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "sklearn.tree._tree.Tree"})
"""What the two learners hold beside what skops itself trusts: arrays that its trees are made of."""
MISSING = (
    "Training and the use of artefacts need scikit-learn and skops, which are not installed here: install Winnow with"
    " its `models` extra, pip install 'winnow[models]'."
)


def to_artefact(model: ResponseModel) -> bytes:
    """Return a fitted model as bytes. Raises InvalidInput where they would not be loaded again."""
    content = {"learner": str(model.learner), "names": list(model.names), "estimator": model.estimator}
    artefact: bytes = _skops().dumps(content)
    _check(artefact)
    return artefact


def from_artefact(artefact: bytes) -> ResponseModel:
    """Return the model. Raises InvalidInput for bytes that are too many, or hold anything else than such a model."""
    _check(artefact)
    try:
        content: Any = _skops().loads(artefact, trusted=sorted(TRUSTED))
        model = ResponseModel(
            learner=Learner(content["learner"]), estimator=content["estimator"], names=tuple(content["names"])
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(_refused(str(error))) from error
    if type(model.estimator).__name__ not in ("RandomForestRegressor", "HistGradientBoostingClassifier"):
        raise InvalidInput(_refused("its estimator is another"))
    return model


def _check(artefact: bytes) -> None:
    """Refuse what is too large, is no archive of skops, or holds a type that is not on the list."""
    if len(artefact) > MOST_BYTES:
        raise InvalidInput(f"The artefact has {len(artefact):,} bytes, of at most {MOST_BYTES:,}: train a smaller one.")
    skops = _skops()
    try:
        unknown: set[str] = set(skops.get_untrusted_types(data=artefact)) - TRUSTED
    except Exception as error:  # whatever an archive from elsewhere makes a reader raise
        raise InvalidInput(_refused("it is no archive of skops")) from error
    if unknown:
        raise InvalidInput(_refused(f"it holds {', '.join(sorted(unknown))}"))


def _refused(reason: str) -> str:
    return f"This is no artefact of a response model ({reason}): train again."


def _skops() -> Any:
    try:
        import skops.io as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none
    except ModuleNotFoundError as error:
        raise Unavailable(MISSING) from error
    return untyped
