"""Every query and every mutation of the graph, made up from its schema, by an admin.

Half of the cases are wrong on purpose. An answer that says INTERNAL_ERROR, a status of 500, an answer that is none of
GraphQL's, and a wrong operation that is carried out are told.
"""

import random
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any
from zlib import crc32

import graphql
import requests
import schemathesis
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from schemathesis import Case, GenerationMode

from bench.fuzzing.drawing import draw
from bench.fuzzing.findings import Finding, Findings
from bench.fuzzing.mixing import Mixing, now
from bench.fuzzing.world import World

SCHEMA = Path(__file__).parents[2] / "schema.graphql"
GRAPH = "graph"
WRONG_SHARE = 0.2
"""Share of cases that break the schema: these never reach a resolver."""
INTERNAL = "INTERNAL_ERROR"
LONGEST_SECONDS = 180
"""What a busy machine may take to fit a model while an analysis waits for it."""


def _value(value: object) -> graphql.ValueNode:
    """Return JSON as GraphQL writes it; keys that GraphQL cannot write are left out."""
    match value:
        case None:
            return nodes.Null
        case bool():
            return nodes.Boolean(value)
        case int():
            return nodes.Int(value)
        case float():
            return nodes.Float(value)
        case list():
            return nodes.List([_value(item) for item in value])
        case dict():
            pairs = [(key, item) for key, item in value.items() if key.isidentifier() and key.isascii()]
            return nodes.Object(
                [graphql.ObjectFieldNode(name=graphql.NameNode(value=key), value=_value(item)) for key, item in pairs]
            )
        case _:
            return nodes.String(str(value))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "segment", "plan"]), inner),
    max_leaves=8,
)
_SCALARS = {
    "JSON": _JSON.map(_value),
    "Date": st.dates().map(lambda day: nodes.String(day.isoformat())),
    "DateTime": st.datetimes(timezones=st.timezones() | st.just(UTC)).map(lambda at: nodes.String(at.isoformat())),
    "Decimal": (st.decimals(allow_nan=False, allow_infinity=False) | st.decimals()).map(
        lambda number: nodes.String(str(number))
    ),
    "BigInt": st.integers().map(nodes.Int),
}


class Graph:
    """Sends operations to a server and looks at its answers; `fits` lets analyses fit models, which takes seconds."""

    def __init__(self, world: World, findings: Findings, *, seed: int, fits: bool = True) -> None:
        for name, strategy in _SCALARS.items():
            schemathesis.graphql.scalar(name, strategy)
        self._world = world
        self._findings = findings
        self._seed = seed
        self._fits = fits
        self._mixing = Mixing(world.names, now=now())
        self._session = requests.Session()
        self._session.headers.update(world.headers)
        with SCHEMA.open() as written:
            self._schema = schemathesis.graphql.from_file(written)

    def run(self, *, cases: int) -> None:
        """Send that many operations, as many of each field of Query and Mutation."""
        found = [operation.ok() for operation in self._schema.get_all_operations()]
        operations = sorted(found, key=lambda operation: operation.label)  # mutations first: queries see what they made
        wrong = max(1, round(cases * WRONG_SHARE / len(operations)))
        right = max(1, -(-cases // len(operations)) - wrong)
        for operation in operations:
            for mode, count in ((GenerationMode.POSITIVE, right), (GenerationMode.NEGATIVE, wrong)):
                draw(operation.as_strategy(generation_mode=mode), self._try, cases=count, seed_of_run=self._seed)

    def _try(self, case: Case) -> None:
        text = str(case.body)
        is_wrong = case.meta is not None and case.meta.generation.mode.is_negative
        if not is_wrong:
            chance = random.Random(crc32(text.encode("utf-8", "replace")) + self._seed)
            text = self._mixing.mixed(text, chance)
        if not self._fits:
            text = text.replace("hierarchical: true", "hierarchical: false")
        try:
            response = self._session.post(f"{self._world.url}/graphql", json={"query": text}, timeout=LONGEST_SECONDS)
        except requests.exceptions.RequestException as error:
            self._findings.add(Finding(GRAPH, case.operation.label, f"no answer: {type(error).__name__}", text))
            return
        kinds = list(_wrong(response, is_wrong=is_wrong))
        self._findings.answered(GRAPH, case.operation.label, _outcome(response))
        for kind in kinds:
            example = f"{text} -> {response.status_code} {response.text[:600]}"
            self._findings.add(Finding(GRAPH, case.operation.label, kind, example))


def _outcome(response: requests.Response) -> str:
    """Say in a word what an operation came to."""
    if response.status_code != 200:
        return str(response.status_code)
    said = response.json()
    if said.get("errors"):
        code = said["errors"][0].get("extensions", {}).get("code", "no code")
        return str(code)
    payloads = [value for value in (said.get("data") or {}).values() if isinstance(value, dict)]
    refused = [error for payload in payloads for error in payload.get("errors") or ()]
    return "refused by the mutation" if refused else "done"


def _wrong(response: requests.Response, *, is_wrong: bool) -> Iterator[str]:
    if response.status_code != 200:
        yield f"status {response.status_code}"
        return
    said: dict[str, Any] = response.json()
    if not said.keys() <= {"data", "errors", "extensions"} or not said:
        yield "no answer of GraphQL's"
    codes = {error.get("extensions", {}).get("code") for error in said.get("errors") or ()}
    if INTERNAL in codes:
        yield INTERNAL
    if is_wrong and not said.get("errors"):
        yield "an operation that breaks the schema is carried out"
