"""Every root field and every permission below it, for every role: who may, who may not, said here once more by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)

from app.auth.principals import PERMISSIONS, Permission, Principal, Role
from app.runtime.settings import Settings
from graph.context import Context
from graph.fields import RELATION
from graph.operations import Operations, Request
from graph.schema import GraphSchema

ADMIN, ANALYST, SENDER, CLIENT = "admin", "analyst", "sender", "client"
EVERYBODY = {ADMIN, ANALYST, SENDER, CLIENT}
PEOPLE = {ADMIN, ANALYST}
ONLY_ADMIN = {ADMIN}

ALLOWED: dict[str, set[str]] = {
    "Query.campaign": EVERYBODY,
    "Query.campaigns": EVERYBODY,
    "Query.merchant": EVERYBODY,
    "Query.merchants": EVERYBODY,
    "Query.topCampaigns": PEOPLE,
    "Query.portfolio": PEOPLE,
    "Query.test": PEOPLE,
    "Query.tests": PEOPLE,
    "Query.sampleSize": PEOPLE,
    "Query.user": PEOPLE | {CLIENT},
    "Query.recommendations": PEOPLE,
    "Query.models": PEOPLE,
    "Query.job": PEOPLE,
    "Query.freshness": EVERYBODY,
    "Mutation.createMerchant": ONLY_ADMIN,
    "Mutation.createCampaign": ONLY_ADMIN,
    "Mutation.updateCampaign": ONLY_ADMIN,
    "Mutation.upsertUsers": {ADMIN, SENDER},
    "Mutation.recordEvents": {ADMIN, SENDER},
    "Mutation.assignUser": {ADMIN, CLIENT},
    "Mutation.createTest": PEOPLE,
    "Mutation.createAmountTest": PEOPLE,
    "Mutation.startTest": PEOPLE,
    "Mutation.pauseTest": PEOPLE,
    "Mutation.endTest": PEOPLE,
    "Mutation.setWeights": PEOPLE,
    "Mutation.reallocate": PEOPLE,
    "Mutation.analyzeTest": PEOPLE,
    "Mutation.trainModels": ONLY_ADMIN,
    "Mutation.activateModel": ONLY_ADMIN,
    "Mutation.cancelJob": ONLY_ADMIN,
    "Subscription.testResults": PEOPLE,
    "Subscription.allocation": PEOPLE,
    "Subscription.campaignMetrics": PEOPLE,
    "Subscription.job": PEOPLE,
}
"""Root fields, and the roles that may ask for them."""


def roots(schema: GraphSchema) -> Iterator[tuple[GraphQLObjectType, str, GraphQLField]]:
    for type_ in (schema.core.query_type, schema.core.mutation_type, schema.core.subscription_type):
        for name, field in type_.fields.items():
            yield type_, name, field


def test_the_table_names_every_root_field(schema: GraphSchema) -> None:
    assert {f"{type_.name}.{name}" for type_, name, _ in roots(schema)} == ALLOWED.keys()


def value(type_: Any) -> Any:
    """Return some value that an input takes, as a variable would be."""
    if isinstance(type_, GraphQLNonNull):
        return value(type_.of_type)
    if isinstance(type_, GraphQLList):
        return [value(type_.of_type)]
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: value(field.type) for name, field in type_.fields.items() if isinstance(field.type, GraphQLNonNull)
        }
    plain = {"Int": 2, "Float": 0.5, "Boolean": True, "DateTime": "2026-01-01T00:00:00Z", "Decimal": "5.00"}
    return plain.get(type_.name, "none")


def selection(type_: Any, depth: int = 4) -> str:
    """Return a selection of one leaf that takes no argument, as near as there is one."""
    named = get_named_type(type_)
    if is_leaf_type(named):
        return ""
    if "errors" in named.fields:
        return "{ errors { code } }"
    fields = {name: field for name, field in named.fields.items() if not field.args}
    for name, field in fields.items():
        if is_leaf_type(get_named_type(field.type)):
            return f"{{ {name} }}"
    for name, field in fields.items():
        below = selection(field.type, depth - 1) if depth else ""
        if below:
            return f"{{ {name} {below} }}"
    raise AssertionError(f"{named} has no leaf")


def operation(type_: GraphQLObjectType, name: str, field: GraphQLField) -> Request:
    needed = {key: argument for key, argument in field.args.items() if isinstance(argument.type, GraphQLNonNull)}
    declared = ", ".join(f"${key}: {argument.type}" for key, argument in needed.items())
    given = ", ".join(f"{key}: ${key}" for key in needed)
    head = f"{type_.name.lower()} ({declared})" if needed else type_.name.lower()
    arguments = f"({given})" if needed else ""
    query = f"{head} {{ {name}{arguments} {selection(field.type)} }}"
    return Request(query, {key: value(argument.type) for key, argument in needed.items()}, None)


def codes(answer: dict[str, Any]) -> set[str]:
    """Return the codes of every error in an answer: top-level ones, and those of payloads."""
    found = {error["extensions"]["code"] for error in answer.get("errors", ())}
    for payload in (answer.get("data") or {}).values():
        if isinstance(payload, dict):
            found |= {error["code"] for error in payload.get("errors") or ()}
    return found


@pytest.mark.parametrize("role", list(Role))
async def test_every_root_field_answers_those_who_may_and_refuses_the_others(
    schema: GraphSchema, services, clean_database, role: Role
) -> None:
    operations = Operations(schema, Settings())
    context = Context(Principal(1, "somebody", role), services)
    wrong = {}
    for type_, name, field in roots(schema):
        asked = operation(type_, name, field)
        if type_.name == "Subscription":
            answer = await operations.source(asked, context)
            refused = hasattr(answer, "errors") and "NOT_ALLOWED" in codes({"errors": answer.errors})
        else:
            refused = "NOT_ALLOWED" in codes((await operations.execute(asked, context)).body())
        path = f"{type_.name}.{name}"
        if refused == (role.value in ALLOWED[path]):
            wrong[path] = "refused" if refused else "answered"
    assert wrong == {}
    if role in {Role.SENDER, Role.CLIENT}:
        assert await clean_database.fetchval("SELECT count(*) FROM ab_test") == 0
        assert await clean_database.fetchval("SELECT count(*) FROM merchant") == 0


UNGUARDED = {
    "Campaign": {"id", "key", "name", "merchant", "status", "channels", "offerAmount", "currency", "budget", "startsAt"}
    | {"endsAt", "createdAt", "updatedAt", "targeting"},
    "Merchant": {"id", "key", "name", "category", "latitude", "longitude", "campaigns"},
    "ABTest": {"id", "key", "name", "hypothesis", "status", "campaign", "variants", "control", "metric", "guardrails"}
    | {"confidenceLevel", "allocationPolicy", "minimumDetectableEffect", "targetSampleSize", "coverage", "holdout"}
    | {"createdAt", "startedAt", "endedAt", "guardrailStops", "winner", "discount", "contextAttributes", "targeting"}
    | {"floor", "reallocateEveryMinutes", "seed"},
}
"""What whoever comes to such an object may know of it; anything else is for those who may read figures."""


def permission_of(field: GraphQLField) -> Permission | None:
    metadata = getattr(field.extensions.get("strawberry-definition"), "metadata", {})
    return metadata[RELATION].permission if RELATION in metadata else None


@pytest.mark.parametrize("type_name", UNGUARDED)
def test_figures_are_kept_from_those_who_only_send_or_assign(schema: GraphSchema, type_name: str) -> None:
    fields = schema.core.type_map[type_name].fields
    for name in fields.keys() - UNGUARDED[type_name]:
        permission = permission_of(fields[name])
        assert permission is not None, f"{type_name}.{name} says who may ask for it, or stands in the list above"
        assert {role.value for role in Role if permission in PERMISSIONS[role]} == PEOPLE, f"{type_name}.{name}"


async def test_a_client_learns_nothing_of_a_test_by_what_it_was_assigned(schema, services, ask, clean_database) -> None:
    client = Principal(1, "app", Role.CLIENT)
    made = await ask(
        "mutation ($input: CreateTestInput!) { createTest(input: $input) { errors { message } } }",
        input={
            "key": "secret",
            "name": "Secret",
            "variants": [{"key": "a", "weight": 0.5, "isControl": True}, {"key": "b", "weight": 0.5}],
            "metric": {"key": "m", "kind": "CONVERSION", "event": "CONVERTED"},
        },
    )
    assert made["data"]["createTest"]["errors"] == []
    await ask('mutation { startTest(id: "secret") { errors { message } } }')
    for field in (
        "results { asOf }",
        "analyses { totalCount }",
        "allocation { policyVersion }",
        "allocationHistory { totalCount }",
        "offPolicy(policy: [0.5, 0.5]) { refused }",
        "adaptive { __typename }",
        "progress",
        "segments",
    ):
        query = f"""mutation {{
            assignUser(testId: "secret", userId: "u", expose: false) {{ assignment {{ test {{ key {field} }} }} }}
        }}"""
        answer = await ask(query, by=client)
        assert codes(answer) == {"NOT_ALLOWED"}, field
    answer = await ask(
        'mutation { assignUser(testId: "secret", userId: "u") { assignment { test { key } variant { key } } } }',
        by=client,
    )
    assert answer["data"]["assignUser"]["assignment"]["test"] == {"key": "secret"}
