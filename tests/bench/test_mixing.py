"""Operations that are made plausible stay operations of the schema, and speak of what it has."""

import random
from datetime import UTC, datetime
from pathlib import Path

import graphql
import pytest

from bench.fuzzing import mixing
from bench.fuzzing.mixing import Mixing

SCHEMA = graphql.build_schema((Path(__file__).parents[2] / "schema.graphql").read_text())
NAMES = {
    kind: [f"{kind}-{n}" for n in range(3)]
    for kind in ("campaign", "merchant", "test", "user", "variant", "metric", "segment", "model", "job")
}
OPERATIONS = [
    (
        'mutation { createTest(input: {key: "é", name: "", variants: [], metric: {key: "", kind: RATIO, event: SENT}}) '
        "{ errors { message } } }"
    ),
    'mutation { setWeights(id: "x", weights: [{key: "a", weight: 1e300}]) { errors { message } } }',
    (
        'mutation { recordEvents(events: [{id: "", type: SENT, occurredAt: "never", userId: 1, value: "NaN", '
        "cost: null, offerAmount: null, probability: 7, properties: {}, policyVersion: -1}]) { accepted } }"
    ),
    (
        "query { campaigns(first: -1, after: null, filter: {search: null}) { nodes { trend(window: {from: null}) "
        "{ metrics { revenue } } tests(first: 0) { nodes { results(confidenceLevel: 9) { asOf } } } } } }"
    ),
    "query { sampleSize(input: {kind: COUNT, baseline: -1, minimumDetectableEffect: 0, variants: 2}) { perVariant } }",
    'query { test(id: 5) { offPolicy(policy: []) { refused } } user(id: "") { sendTime(on: null) { hour } } }',
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_stays_one_of_the_schema(operation: str) -> None:
    mixed = Mixing(NAMES, now=datetime(2026, 1, 1, tzinfo=UTC))
    made = {mixed.mixed(operation, random.Random(seed)) for seed in range(60)}
    assert len(made) > 10
    for text in made:
        assert graphql.validate(SCHEMA, graphql.parse(text)) == [], text


def test_what_is_made_plausible_is_in_the_schema() -> None:
    types = [kind for kind in SCHEMA.type_map.values() if isinstance(kind, graphql.GraphQLObjectType)]
    arguments = {name for kind in types for field in kind.fields.values() for name in field.args}
    inputs = [kind for kind in SCHEMA.type_map.values() if isinstance(kind, graphql.GraphQLInputObjectType)]
    known = arguments | {name for kind in inputs for name in kind.fields}
    assert mixing._MADE.keys() | mixing._BY_NAME.keys() <= known
    roots = SCHEMA.query_type.fields.keys() | SCHEMA.mutation_type.fields.keys()
    assert mixing._BY_FIELD.keys() <= roots


def test_the_same_seed_makes_the_same() -> None:
    mixed = Mixing(NAMES, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert mixed.mixed(OPERATIONS[0], random.Random(5)) == mixed.mixed(OPERATIONS[0], random.Random(5))
