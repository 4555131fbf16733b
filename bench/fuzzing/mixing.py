"""Made-up GraphQL operations about things that exist.

What schemathesis makes up keeps to the schema's types, and hardly ever to what a value means: nearly every operation
would end at its first argument. So in most operations, values become plausible: names of the world, shares that sum to
1, times that have been.
"""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import graphql
from graphql import ArgumentNode, FieldNode, ObjectFieldNode, Visitor, visit

from bench.fuzzing.world import Names

SHARES = (0.0, 0.5, 0.9, 1.0, 1.0)
"""Shares of values that are made plausible, one drawn for each operation."""
_BY_NAME: Mapping[str, str] = {
    "campaignId": "campaign",
    "testId": "test",
    "merchantId": "merchant",
    "userId": "user",
    "externalId": "user",
    "winner": "variant",
    "variantKey": "variant",
    "metricKey": "metric",
    "segment": "segment",
}
_BY_FIELD: Mapping[str, str] = {
    "campaign": "campaign",
    "updateCampaign": "campaign",
    "merchant": "merchant",
    "user": "user",
    "test": "test",
    "activateModel": "model",
    **dict.fromkeys(("job", "cancelJob"), "job"),
    **dict.fromkeys(("startTest", "pauseTest", "endTest", "setWeights", "analyzeTest"), "test"),
}
"""What the argument `id` of a field names."""
_FRACTIONS = ("0.95", "0.5", "0.9", "0.1", "0.05", "0.99", "0.8", "1", "0.2")
_AMOUNTS = ("0", "5.00", "12.5", "0.000001", "1000000000", "250")
_BANDITS = ("THOMPSON", "TOP_TWO_THOMPSON", "UCB", "EPSILON_GREEDY")
_WORDS = ("spring-sale", "a", "winter_2", "control", "Ünïcode", "push")


class Mixing:
    """Makes operations plausible, by names that exist."""

    def __init__(self, names: Names, *, now: datetime) -> None:
        self._names = names
        self._now = now

    def mixed(self, text: str, chance: random.Random) -> str:
        """Return an operation with a share of its values made plausible."""
        share = chance.choice(SHARES)
        document = graphql.parse(text)
        return graphql.print_ast(visit(document, _Plausible(self._value, share, chance))) if share else text

    def _value(self, field: str, name: str, chance: random.Random) -> str | None:
        """Return a plausible value of an argument or input field as GraphQL writes it; None where any will do."""
        if (field, name) == ("createTest", "input"):
            return self.new_test(chance)
        kind = _BY_FIELD.get(field) if name == "id" else _BY_NAME.get(name)
        if kind:
            return graphql.print_ast(graphql.StringValueNode(value=chance.choice(self._names[kind])))
        make = _MADE.get(name)
        return None if make is None else make(self, chance)

    def time(self, chance: random.Random) -> str:
        """Return a time within the world's history, at times a little after it."""
        at = self._now - timedelta(hours=chance.uniform(-20, 24 * 100))
        return f'"{at.isoformat()}"'

    def variants(self, chance: random.Random) -> str:
        """Return the variants of a test: one control, weights that sum to 1."""
        count = chance.choice((2, 2, 3, 4))
        rows = [
            f'{{key: "v{n}", weight: {1 / count}, isControl: {"true" if n == 0 else "false"}'
            f"{chance.choice(('', ', payload: {amount: 5}', ', name: "Name"'))}}}"
            for n in range(count)
        ]
        return f"[{', '.join(rows)}]"

    def weights(self, chance: random.Random) -> str:
        """Return weights of two variants of a test of the world."""
        part = chance.choice((0.5, 0.25, 0.1, 0.0, 1.0))
        keys = chance.choice(
            (("control", "treatment"), ("v0", "v1"), (chance.choice(self._names["variant"]), "control"))
        )
        return f'[{{key: "{keys[0]}", weight: {part}}}, {{key: "{keys[1]}", weight: {1 - part}}}]'

    def new_test(self, chance: random.Random) -> str:
        """Return the input of a test that can be created, most times."""
        further = [
            f"confidenceLevel: {chance.choice(_FRACTIONS)}",
            f"coverage: {chance.choice(_FRACTIONS)}",
            f"holdout: {chance.choice(('0', '0.1'))}",
            f'campaignId: "{chance.choice(self._names["campaign"])}"',
            f"guardrails: [{self.metric(chance)}]",
            f"allocationPolicy: {chance.choice(_BANDITS)}, floor: 0.05",
            'allocationPolicy: CONTEXTUAL_THOMPSON, contextAttributes: ["segment"], floor: 0.02',
            'targeting: {segment: "loyal"}',
            'exclusion: {group: "g", low: 0, high: 0.5}',
            "minimumDetectableEffect: 0.1, baseline: 0.2",
            f"discount: {chance.choice(('0.5', '0.99', '1'))}",
        ]
        chosen = {line.partition(":")[0]: line for line in chance.sample(further, chance.randrange(4))}
        given = [
            f'key: "t{chance.randrange(10**9)}", name: "Test"',
            f"variants: {self.variants(chance)}",
            f"metric: {self.metric(chance)}",
            *chosen.values(),
        ]
        return f"{{{', '.join(given)}}}"

    def metric(self, chance: random.Random) -> str:
        """Return a metric."""
        kind = chance.choice(("CONVERSION", "REVENUE", "COUNT", "RATIO"))
        denominator = f", denominator: {chance.choice(('SENT', 'EXPOSED'))}" if kind == "RATIO" else ""
        return f'{{key: "m{chance.randrange(9)}", kind: {kind}, event: CONVERTED{denominator}}}'


_MADE: Mapping[str, Callable[[Mixing, random.Random], str | None]] = {
    **dict.fromkeys(("first", "periods", "points", "dailyUnits"), lambda _, c: str(c.choice((1, 2, 5, 20, 64, 100)))),
    **dict.fromkeys(("after",), lambda _, c: c.choice(("null", '""', '"MQ=="'))),
    **dict.fromkeys(
        (
            "confidenceLevel",
            "power",
            "coverage",
            "baseline",
            "minimumDetectableEffect",
            "share",
            "probability",
            "discount",
        ),
        lambda _, c: c.choice(_FRACTIONS),
    ),
    **dict.fromkeys(("floor", "holdout"), lambda _, c: c.choice(("0", "0.01", "0.1", "null"))),
    "low": lambda _, c: c.choice(("0", "0.1")),
    "high": lambda _, c: c.choice(("1", "0.5")),
    "standardDeviation": lambda _, c: c.choice(("1.5", "20", "null")),
    "targetSampleSize": lambda _, c: c.choice(("100", "100000", "null")),
    "reallocateEveryMinutes": lambda _, c: c.choice(("1", "60", "1440")),
    "windowHours": lambda _, c: c.choice(("1", "72", "720")),
    "minimumSent": lambda _, c: c.choice(("0", "10")),
    "maxPerSecond": lambda _, c: c.choice(("1", "10")),
    **dict.fromkeys(("value", "cost", "offerAmount", "budget"), lambda _, c: f'"{c.choice(_AMOUNTS)}"'),
    "amounts": lambda _, c: c.choice(('["2.50", "5.00", "7.50"]', '["1", "2", "3", "4"]')),
    **dict.fromkeys(("from", "startsAt", "occurredAt"), lambda m, c: m.time(c)),
    **dict.fromkeys(("to", "endsAt", "at"), lambda m, c: c.choice((m.time(c), m.time(c), "null"))),
    "on": lambda m, c: m.time(c)[:11] + '"',
    "hierarchical": lambda _, c: "true" if c.random() < 0.05 else "false",  # a model is fitted: seconds
    "latitude": lambda _, c: c.choice(("52.37", "-33.9", "0")),
    "longitude": lambda _, c: c.choice(("4.9", "179.9", "0")),
    "quietHours": lambda _, c: c.choice(("[]", "[22, 23, 0]", "null")),
    "timezone": lambda _, c: c.choice(('"Europe/Amsterdam"', '"America/New_York"', '"UTC"', '"No/Where"')),
    "currency": lambda _, c: c.choice(('"USD"', '"EUR"')),
    "search": lambda _, c: c.choice(('"a"', '"50%"', '"_"', '"\\\\"')),
    "group": lambda _, c: c.choice(('"g"', '"home"')),
    "policy": lambda _, c: c.choice(("[0.5, 0.5]", "[0.2, 0.3, 0.5]", "[1, 0]", "[0.25, 0.25, 0.25, 0.25]")),
    "policyVersion": lambda _, c: c.choice(("1", "2", "2147483647")),
    "contextAttributes": lambda _, c: c.choice(("[]", '["segment"]', '["plan", "age"]')),
    "targeting": lambda _, c: c.choice(("null", '{segment: "loyal"}', "{age: {_gte: 18}}")),
    **dict.fromkeys(
        ("attributes", "properties"), lambda _, c: c.choice(("{}", '{plan: "pro", age: 30, x: [1, null]}'))
    ),
    "key": lambda _, c: f'"k{c.randrange(100_000)}-{c.choice(("a", "b"))}"',
    **dict.fromkeys(("name", "category", "hypothesis", "seed"), lambda _, c: f'"{c.choice(_WORDS)}"'),
    "variants": lambda m, c: m.variants(c),
    "weights": lambda m, c: m.weights(c),
    "metric": lambda m, c: m.metric(c),
    "guardrails": lambda m, c: c.choice(("[]", f"[{m.metric(c)}]")),
}


class _Plausible(Visitor):
    """Puts plausible values where an operation has made-up ones."""

    def __init__(
        self, value: Callable[[str, str, random.Random], str | None], share: float, chance: random.Random
    ) -> None:
        super().__init__()
        self._value = value
        self._share = share
        self._chance = chance
        self._fields: list[str] = []

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self._fields.append(node.name.value)

    def leave_field(self, *_: Any) -> None:
        self._fields.pop()

    def leave_argument(self, node: ArgumentNode, *_: Any) -> Any:
        return self._replaced(node)

    def leave_object_field(self, node: ObjectFieldNode, *_: Any) -> Any:
        return self._replaced(node)

    def _replaced(self, node: Any) -> Any:
        if self._chance.random() >= self._share:
            return None
        field = self._fields[-1] if self._fields else ""
        written = self._value(field, node.name.value, self._chance)
        if written is None or (field == "sampleSize" and node.name.value == "variants"):
            return None
        return type(node)(name=node.name, value=graphql.parse_value(written))


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)
