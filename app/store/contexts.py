"""What contextual bandits learn from: contexts, and sums of what their units did, worked out in the database.

Each function takes the connection of the step's transaction. An attribute's value is asked for as PostgreSQL's JSON has
it, and encoded as engine.bandits.encoding does; a test holds both to each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from app.store.database import Connection, Database
from engine.bandits.encoding import (
    FURTHEST,
    LARGEST_NUMBER,
    LEAST_UNITS,
    AttributeSummary,
    Encoding,
    Feature,
    FeatureKind,
    limited,
)
from engine.bandits.linear import LinearTotals

MOST_VARIANTS = 20
MOST_TEXTS = 9
"""Texts of an attribute that may have a feature of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """Which units count, and for how much: of a test at a time, by its present policy version."""

    test_id: int
    at: datetime
    policy_version: int
    discount: float = 1.0
    scale: float = 1.0
    """What a value is divided by: micros to money."""


async def attribute_summaries(connection: Connection, test_id: int, names: Sequence[str]) -> list[AttributeSummary]:
    """Return what the contexts of a test's exposed units hold, in the order of the names."""
    kinds = {row["name"]: row for row in await connection.fetch(KINDS, test_id, list(names))}
    texts: dict[str, list[tuple[str, int]]] = {}
    for row in await connection.fetch(TEXTS, test_id, list(names), LEAST_UNITS, MOST_TEXTS):
        texts.setdefault(row["name"], []).append((row["value"], row["units"]))
    return [_summary(name, kinds.get(name), texts.get(name, ())) for name in names]


async def recent_contexts(connection: Connection, test_id: int, *, most: int) -> list[Mapping[str, Any]]:
    """Return the contexts of the units exposed last, at most so many."""
    return [row["context"] for row in await connection.fetch(RECENT, test_id, most)]


async def context_counts(
    source: Connection | Database, test_ids: Sequence[int]
) -> dict[int, list[tuple[list[float], int]]]:
    """Return average shares with how many exposed units had them, by units' own; by version where unknown."""
    counts: dict[int, list[tuple[list[float], int]]] = {}
    for row in await source.fetch(COUNTS, list(test_ids)):
        counts.setdefault(row["test_id"], []).append((row["probabilities"], row["units"]))
    return counts


async def context_sums(
    connection: Connection, counting: Counting, encoding: Encoding, *, variants: Sequence[int]
) -> LinearTotals:
    """Return the sums of each variant's counted units over their encoded contexts: X'X, X'y, y'y and how many.

    A unit counts when its window has closed or its value is not 0; `discount` to the power of the steps since its own
    policy version is what it counts for.
    """
    await connection.execute("SET LOCAL jit = off")  # to compile hundreds of sums takes longer than to add them up
    arguments = _Arguments([counting.test_id, counting.at, counting.policy_version, counting.discount, counting.scale])
    rows = await connection.fetch(_sums(encoding, arguments), *arguments.values)
    return _totals({row["variant_id"]: row for row in rows}, encoding.size, variants)


class _Arguments:
    """A statement's arguments: what comes from outside is never part of its text."""

    def __init__(self, values: Sequence[object]) -> None:
        self.values: list[object] = list(values)

    def add(self, value: object, kind: str) -> str:
        self.values.append(value)
        return f"${len(self.values)}::{kind}"


def _summary(name: str, row: Any, frequent: Sequence[tuple[str, int]]) -> AttributeSummary:
    if row is None:
        return AttributeSummary(name=name, units=0)
    return AttributeSummary(
        name=name,
        units=row["units"],
        numbers=row["numbers"],
        mean=row["mean"] or 0.0,
        deviation=row["deviation"] or 0.0,
        booleans=row["booleans"],
        truths=row["truths"],
        texts=row["texts"],
        frequent=tuple(frequent),
    )


def _sums(encoding: Encoding, arguments: _Arguments) -> str:
    attributes = {name: f"j{at}" for at, name in enumerate(dict.fromkeys(f.attribute for f in encoding.features[1:]))}
    values = "".join(f", a.context -> {arguments.add(name, 'text')} AS {place}" for name, place in attributes.items())
    columns = [
        f"{_feature(feature, attributes.get(feature.attribute, ''), encoding, arguments)} AS x{at}"
        for at, feature in enumerate(encoding.features)
    ]
    size = encoding.size
    products = [f"sum(w * y * x{at})" for at in range(size)]
    squares = [f"sum(w * x{row} * x{column})" for row in range(size) for column in range(row + 1)]
    sums = ", ".join(f"{one} AS s{at}" for at, one in enumerate((*products, *squares)))
    return f"""
        WITH unit AS MATERIALIZED (
            SELECT a.variant_id, u.value / $5::float8 AS y,
                   power($4::float8, greatest($3::integer - a.policy_version, 0)) AS w{values}
            FROM ab_test_metric m
            JOIN ab_test_assignment a ON a.test_id = m.test_id AND a.context IS NOT NULL
            JOIN unit_metric u ON u.test_id = a.test_id AND u.metric_id = m.id AND u.user_id = a.user_id
            WHERE m.test_id = $1 AND m.position = 0
              AND (u.value <> 0 OR a.first_exposed_at <= $2::timestamptz - make_interval(hours => m.window_hours))
        ),
        encoded AS (SELECT variant_id, y, w, {", ".join(columns)} FROM unit)
        SELECT variant_id, sum(w) AS pulls, sum(w * y * y) AS squared, {sums} FROM encoded GROUP BY variant_id
    """


def _feature(feature: Feature, place: str, encoding: Encoding, arguments: _Arguments) -> str:
    match feature.kind:
        case FeatureKind.CONSTANT:
            return "1.0::float8"
        case FeatureKind.NUMBER:
            mean, scale = arguments.add(feature.mean, "float8"), arguments.add(feature.scale, "float8")
            standardised = f"({place}::float8 - {mean}) / {scale}"
            limits = f"least(greatest({standardised}, -{FURTHEST}), {FURTHEST})"
            return f"CASE WHEN {_is_number(place)} THEN {limits} ELSE 0 END"
        case FeatureKind.BOOLEAN:
            yes, no = (limited((truth - feature.mean) / feature.scale) for truth in (1.0, 0.0))
            yes, no = arguments.add(yes, "float8"), arguments.add(no, "float8")
            return f"CASE {place} WHEN 'true'::jsonb THEN {yes} WHEN 'false'::jsonb THEN {no} ELSE 0 END"
        case FeatureKind.NO_NUMBER:
            return f"(CASE WHEN {_is_number(place)} THEN 0 ELSE 1 END)::float8"
        case FeatureKind.NO_BOOLEAN:
            return f"(jsonb_typeof({place}) IS DISTINCT FROM 'boolean')::integer::float8"
        case FeatureKind.TEXT:
            return f"coalesce(({place} = to_jsonb({arguments.add(feature.value, 'text')}))::integer, 0)::float8"
        case FeatureKind.OTHER:
            listed = [one.value for one in encoding.features if one.attribute == feature.attribute and one.value]
            texts = arguments.add(listed, "text[]")
            is_listed = f"jsonb_typeof({place}) = 'string' AND ({place} #>> '{{}}') = ANY({texts})"
            return f"(NOT coalesce({is_listed}, false))::integer::float8"


def _is_number(place: str) -> str:
    return f"jsonb_typeof({place}) = 'number' AND abs({place}::numeric) <= {LARGEST_NUMBER:.0f}"


def _totals(rows: Mapping[int, Any], size: int, variants: Sequence[int]) -> LinearTotals:
    squares = np.zeros((len(variants), size, size))
    products, squared, pulls = np.zeros((len(variants), size)), np.zeros(len(variants)), np.zeros(len(variants))
    below = np.tril_indices(size)
    for arm, variant in enumerate(variants):
        if (row := rows.get(variant)) is not None:
            sums = np.array([row[f"s{at}"] for at in range(size + len(below[0]))], np.float64)
            products[arm] = sums[:size]
            squares[arm][below] = sums[size:]
            squares[arm].T[below] = sums[size:]
            squared[arm], pulls[arm] = row["squared"], row["pulls"]
    return LinearTotals(squares=squares, products=products, squared_rewards=squared, pulls=pulls)


_VALUES = """
    SELECT n.name, a.context -> n.name AS value FROM ab_test_assignment a CROSS JOIN unnest($2::text[]) AS n(name)
    WHERE a.test_id = $1 AND a.context IS NOT NULL
"""
# Cast only where it can be: a number that PostgreSQL's JSON holds may be none that a double does.
KINDS = f"""
SELECT name, count(*) AS units, count(number) AS numbers, avg(number) AS mean, stddev_pop(number) AS deviation,
       count(*) FILTER (WHERE jsonb_typeof(value) = 'boolean') AS booleans,
       count(*) FILTER (WHERE value = 'true'::jsonb) AS truths,
       count(*) FILTER (WHERE jsonb_typeof(value) = 'string') AS texts
FROM (SELECT name, value, CASE WHEN {_is_number("value")} THEN value::float8 END AS number FROM ({_VALUES}) v) v
GROUP BY name
"""
TEXTS = f"""
SELECT name, value, units FROM (
    SELECT name, value #>> '{{}}' AS value, count(*) AS units,
           row_number() OVER (PARTITION BY name ORDER BY count(*) DESC, value #>> '{{}}') AS place
    FROM ({_VALUES}) v WHERE jsonb_typeof(value) = 'string' GROUP BY name, value HAVING count(*) >= $3
) t WHERE place <= $4 ORDER BY name, place
"""
_OWN = ", ".join(f"avg(probabilities[{number}])" for number in range(1, MOST_VARIANTS + 1))
COUNTS = f"""
SELECT test_id, array_remove(ARRAY[{_OWN}], NULL) AS probabilities, count(*) AS units FROM ab_test_assignment
WHERE test_id = ANY($1::bigint[]) AND first_exposed_at IS NOT NULL AND probabilities IS NOT NULL GROUP BY test_id
UNION ALL
SELECT l.test_id, ARRAY(SELECT jsonb_array_elements_text(l.probabilities)::float8), a.units FROM allocation l JOIN (
    SELECT test_id, policy_version, count(*) AS units FROM ab_test_assignment
    WHERE test_id = ANY($1::bigint[]) AND first_exposed_at IS NOT NULL AND probabilities IS NULL
    GROUP BY test_id, policy_version
) a USING (test_id, policy_version)
"""
RECENT = """
SELECT context FROM ab_test_assignment WHERE test_id = $1 AND context IS NOT NULL
ORDER BY first_exposed_at DESC, user_id LIMIT $2
"""
