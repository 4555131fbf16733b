"""Artefacts: back as they were, and nothing else is loaded."""

import io
import json
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from app.errors import InvalidInput
from app.optimizer import artefacts
from app.optimizer.artefacts import from_artefact, to_artefact
from engine.learning.learners import Learner, fit_learner
from engine.learning.response import ResponseModel

NAMES = ("one", "two")
RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(600, 2))
OUTCOMES = (RNG.random(600) < 0.3).astype(float)


@pytest.fixture(params=list(Learner))
def model(request: pytest.FixtureRequest) -> ResponseModel:
    estimator = fit_learner(request.param, ROWS, OUTCOMES, seed=1, jobs=1)
    return ResponseModel(learner=request.param, estimator=estimator, names=NAMES)


def test_a_model_comes_back_and_says_the_same(model: ResponseModel) -> None:
    loaded = from_artefact(to_artefact(model))
    assert (loaded.learner, loaded.names) == (model.learner, model.names)
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))


def test_an_artefact_is_no_pickle(model: ResponseModel) -> None:
    archive = zipfile.ZipFile(io.BytesIO(to_artefact(model)))
    assert not [name for name in archive.namelist() if name.endswith((".pkl", ".pickle"))]


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("an artefact ran code",))


@pytest.mark.parametrize("content", [b"", b"not an archive", pickle.dumps(Bomb()), pickle.dumps({"learner": 1})])
def test_anything_else_is_refused_and_not_run(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="no artefact of a response model"):
        from_artefact(content)


def test_types_that_are_not_on_the_list_are_refused() -> None:
    content = {"learner": "RANDOM_FOREST", "names": ["one"], "estimator": FunctionTransformer(func=np.savetxt)}
    with pytest.raises(InvalidInput, match=r"it holds numpy\.savetxt"):
        from_artefact(skops.io.dumps(content))


def test_an_archive_with_another_type_written_into_it_is_refused(model: ResponseModel) -> None:
    archive = zipfile.ZipFile(io.BytesIO(to_artefact(model)))
    schema = json.loads(archive.read("schema.json"))
    schema["content"] |= {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    forged = io.BytesIO()
    with zipfile.ZipFile(forged, "w") as target:
        target.writestr("schema.json", json.dumps(schema))
    with pytest.raises(InvalidInput, match="no artefact of a response model"):
        from_artefact(forged.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        {"learner": "RANDOM_FOREST", "names": ["one", "two"], "estimator": LogisticRegression().fit(ROWS, OUTCOMES)},
        {"learner": "MAGIC", "names": ["one"], "estimator": None},
        {"names": ["one"]},
        ["a", "list"],
    ],
)
def test_what_is_no_response_model_is_refused(content: Any) -> None:
    with pytest.raises(InvalidInput, match="no artefact of a response model"):
        from_artefact(skops.io.dumps(content))


def test_what_is_too_large_is_refused_before_it_is_read(model: ResponseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "MOST_BYTES", 1_000)
    with pytest.raises(InvalidInput, match="of at most 1,000"):
        to_artefact(model)
    with pytest.raises(InvalidInput, match="of at most 1,000"):
        from_artefact(b"x" * 1_001)
