"""What is compiled answers as graphql-core does: random documents over our schema, flawless and flawed data."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.auth.principals import Principal, Role
from app.runtime.settings import Settings
from graph.answers import WRITING, Answer, Request
from graph.context import Context
from graph.operations import Operations
from graph.schema import build_schema
from tests.graph.completion.documents import Written, documents
from tests.graph.completion.flawed_data import KINDS, Maker, serve

MAKER = {"present": Maker(0, 0.0)}
SCHEMA = build_schema()
serve(SCHEMA, lambda: MAKER["present"])
LIMITS: dict[str, Any] = {"max_query_aliases": 10_000, "max_query_depth": 100, "max_query_complexity": 10**12}
COMPILED = Operations(SCHEMA, Settings(completion="compiled", **LIMITS))
GENERIC = Operations(SCHEMA, Settings(completion="generic", **LIMITS))
CONTEXT = Context(Principal(1, "tests", Role.ADMIN), None)  # type: ignore[arg-type]  # no loader here asks for a service
RANDOM = settings(deadline=None, max_examples=250, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """The unforeseen is logged, and much is unforeseen here."""
    with structlog.testing.capture_logs():
        yield


def answered(operations: Operations, document: Written) -> Answer:
    request = Request(document.text, document.variables, None)
    operation = operations.execute_event if operations.is_subscription(request) else operations.execute
    return asyncio.run(operation(request, CONTEXT))


def written(answer: Answer) -> bytes | str:
    """Return the data as clients get it, keys in their order; the error's name where it cannot be written."""
    try:
        return orjson.dumps(orjson.loads(answer.text)["data"] if answer.text else answer.data, option=WRITING)
    except TypeError as error:
        return type(error).__name__


def said(answer: Answer) -> list[bytes]:
    """Return the errors, without what is random in them."""
    return [re.sub(rb"[0-9a-f]{16}", b"ID", orjson.dumps(one)) for one in answer.errors]


def compare(document: Written) -> Answer:
    compiled, generic = answered(COMPILED, document), answered(GENERIC, document)
    assert compiled.executed == generic.executed
    assert generic.text is None
    assert written(compiled) == written(generic)
    if document.single:
        assert said(compiled) == said(generic)
    elif generic.data is not None:  # fields of the root run side by side: whichever is ready first errs first
        assert sorted(said(compiled)) == sorted(said(generic))
    else:  # and of those that may not be null, the first to fail ends the others
        assert compiled.errors
    return compiled


EVERY_LEAF = """{
    campaigns { totalCount pageInfo { hasNextPage endCursor } edges { cursor node { id key status channels } } nodes {
        offerAmount budget startsAt createdAt merchant { latitude longitude }
        metrics { sent revenue cost openRate averageOrderValue asOf } cohorts { startsAt size retained retention }
        segments { rank segment metrics { converted roi } } roi { profit breakEvenConversions }
        tests { nodes { id status coverage guardrails { kind windowHours margin stops }
            variants { isControl weight payload } control { id key }
            results { asOf totals { exposed mean variant { id key } } bayesian { variants { density { x } } } } } }
    } }
}"""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_flaw_beside_every_kind_of_leaf(kind: str) -> None:
    judged = 0
    for seed in range(25):
        MAKER["present"] = Maker(seed, 0.1, kind=kind)
        judged += compare(Written(EVERY_LEAF, {}, single=True)).text is None
    assert judged


@RANDOM
@given(documents(SCHEMA.core), st.integers(0, 10**6), st.sampled_from([0.003, 0.02, 0.2]))
def test_flawed_data(document: Written, seed: int, flaws: float) -> None:
    MAKER["present"] = Maker(seed, flaws)
    compare(document)


@RANDOM
@given(documents(SCHEMA.core), st.integers(0, 10**6), st.sampled_from(KINDS))
def test_data_flawed_in_one_way(document: Written, seed: int, kind: str) -> None:
    MAKER["present"] = Maker(seed, 0.3, kind=kind)
    compare(document)


@RANDOM
@given(documents(SCHEMA.core), st.integers(0, 10**6))
def test_flawless_data_needs_no_judging(document: Written, seed: int) -> None:
    MAKER["present"] = Maker(seed, 0.0)
    compiled = compare(document)
    assume(compiled.executed)
    assert compiled.text is not None
    assert not compiled.errors
