"""The contract's own scalars: how values travel in JSON."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from operator import attrgetter
from typing import NewType, cast

import orjson
import strawberry
from graphql import FloatValueNode, GraphQLError, IntValueNode, StringValueNode, ValueNode
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

__all__ = ["JSON", "SCALARS", "BigInt"]

BigInt = NewType("BigInt", int)
"""A count: whole, and past 32 bits where it has to."""

CENT = Decimal("0.01")
LARGEST_AMOUNT = Decimal(10**15)
_HUNDREDTHS = tuple(f".{cents:02d}" for cents in range(100))
DEEPEST_JSON = 100
"""Levels of a JSON value; what stores it and writes it again gives up at 254, with what lies around it."""


def write_datetime(value: datetime) -> str:
    """Return ISO 8601 in UTC with a Z."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def read_datetime(value: object) -> datetime:
    """Return an aware time in UTC from ISO 8601 with an offset."""
    moment = _parsed_datetime(value)
    if moment.tzinfo is None:
        raise GraphQLError(f"DateTime {value!r} has no offset: write it as 2026-03-01T09:00:00Z.")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise GraphQLError(f"DateTime {value!r} lies outside the years 1 to 9999 in UTC: give another one.") from error


def read_date(value: object) -> date:
    """Return a calendar date from ISO 8601."""
    try:
        return date.fromisoformat(_text(value))
    except ValueError as error:
        raise GraphQLError(f"Date cannot be read from {value!r}: write it as 2026-03-01.") from error


def write_decimal(value: Decimal) -> str:
    """Return two decimals, halves to even."""
    return str(value.quantize(CENT, rounding=ROUND_HALF_EVEN))


def write_micros(micros: int) -> str:
    """Return millionths as `write_decimal` would: two decimals, halves to even."""
    cents, rest = divmod(micros, 10_000)
    if rest >= 5_000 and (rest > 5_000 or cents & 1):
        cents += 1
    if micros >= 0:
        return f"{cents // 100}{_HUNDREDTHS[cents % 100]}"
    whole, hundredths = divmod(abs(cents), 100)
    return f"{'-' if micros < 0 else ''}{whole}.{hundredths:02d}"


class Amount:
    """Reads money, kept as a whole number of millionths in the attribute at `path`."""

    __slots__ = ("_micros", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._micros = attrgetter(path)

    def __call__(self, row: object) -> Decimal:
        """Return the exact amount."""
        return Decimal(self._micros(row)).scaleb(-6)


class Passed:
    """Reads JSON that is passed on as the database wrote it, in the attribute at `path`."""

    __slots__ = ("_written", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._written = attrgetter(path)

    def __call__(self, row: object) -> orjson.Fragment | None:
        """Return the JSON; None where it is null."""
        written = bytes(self._written(row))
        return None if written == b"null" else orjson.Fragment(written)


def read_decimal(value: object) -> Decimal:
    """Return an exact amount from a string or a number; NaN and infinities are refused."""
    amount = _parsed_decimal(value)
    if not amount.is_finite() or abs(amount) >= LARGEST_AMOUNT:
        raise GraphQLError(f'Decimal must be a finite amount below 10^15, such as "12.50", not {value!r}.')
    return amount


def read_decimal_literal(node: ValueNode, _variables: Mapping[str, object] | None = None) -> Decimal:
    """Return an exact amount from a literal, digit by digit."""
    if not isinstance(node, StringValueNode | IntValueNode | FloatValueNode):
        raise GraphQLError('Decimal must be a string or a number, such as "12.50".', node)
    return read_decimal(node.value)


def read_bigint(value: object) -> int:
    """Return a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise GraphQLError(f"BigInt must be a whole number, not {value!r}.")
    return int(value)


def read_json(value: object) -> object:
    """Return a JSON value that is flat enough to be kept, and written again."""
    _check_json(value, DEEPEST_JSON)
    return value


def _check_json(value: object, levels: int) -> None:
    if isinstance(value, dict | list):
        if not levels:
            raise GraphQLError(f"JSON is nested more than {DEEPEST_JSON} levels deep: flatten it.")
        inner = cast("dict[str, object] | list[object]", value)
        for one in (*inner, *inner.values()) if isinstance(inner, dict) else inner:
            _check_json(one, levels - 1)


def _parsed_datetime(value: object) -> datetime:
    try:
        return datetime.fromisoformat(_text(value))
    except ValueError as error:
        raise GraphQLError(f"DateTime cannot be read from {value!r}: write it as 2026-03-01T09:00:00Z.") from error


def _parsed_decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise GraphQLError(f'Decimal must be a string or a number, such as "12.50", not {value!r}.')
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise GraphQLError(f'Decimal cannot be read from {value!r}: write it as "12.50".') from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004  # told apart nowhere: both callers explain it alike
    return value


def _unchanged[T](value: T) -> T:
    return value


SCALARS: Mapping[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment: ISO 8601 with an offset, answered in UTC with a Z.",
        serialize=write_datetime,
        parse_value=read_datetime,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A calendar day in UTC: ISO 8601.",
        serialize=date.isoformat,
        parse_value=read_date,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="An amount of money in the campaign's currency: a string with two decimals; numbers are taken too.",
        serialize=write_decimal,
        parse_value=read_decimal,
        parse_literal=read_decimal_literal,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole JSON number, exact up to 2^53.",
        serialize=_unchanged,
        parse_value=read_bigint,
    ),
    JSON: strawberry.scalar(name="JSON", description="Any JSON value.", serialize=_unchanged, parse_value=read_json),
}
"""What Strawberry is to make of each Python type."""


def scalar_map() -> dict[object, ScalarDefinition]:
    """Return the scalars in the form that Strawberry's configuration takes."""
    return dict(SCALARS)
