"""A file's columns to what Winnow calls them: read from TOML, checked before the first row, applied to each.

::

    kind = "events"                  # users, merchants, campaigns or events

    [where]                          # rows to take: each column is one of the values
    country = ["US", "CA"]

    [fields]
    userId = "household_id"                                              # a column
    id = { template = "order-{order_id}" }                               # text with columns in it
    type = { constant = "CONVERTED" }
    occurredAt = { column = "ordered_at", timezone = "Europe/Paris" }    # of times without an offset; format for others
    value = { column = "amount_cents", scale = "0.01" }                  # multiplied
    channel = { column = "via", values = { mail = "EMAIL" } }            # renamed
    channels = { column = "via", split = "," }                           # a list
    policyVersion = "policy_version"                                     # whole, as assignments and exports have it
    properties = { object = { store = "store_id" } }                     # an object of columns

An empty value is left out, or replaced by `default`.
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from string import Formatter
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from app.errors import InvalidInput


class Kind(StrEnum):
    """What a file holds."""

    USERS = "users"
    MERCHANTS = "merchants"
    CAMPAIGNS = "campaigns"
    EVENTS = "events"


REQUIRED = {
    Kind.USERS: ("externalId",),
    Kind.MERCHANTS: ("key", "name", "category"),
    Kind.CAMPAIGNS: ("key", "name", "merchantId", "channels", "offerAmount"),
    Kind.EVENTS: ("id", "type", "occurredAt", "userId"),
}
OPTIONAL = {
    Kind.USERS: ("segment", "timezone", "attributes", "latitude", "longitude"),
    Kind.MERCHANTS: ("latitude", "longitude"),
    Kind.CAMPAIGNS: ("currency", "budget", "startsAt", "endsAt", "status"),
    Kind.EVENTS: (
        *("campaignId", "testId", "variantKey", "policyVersion", "channel", "value", "cost", "offerAmount"),
        *("probability", "latitude", "longitude", "properties"),
    ),
}
TIMES = frozenset({"occurredAt", "startsAt", "endsAt"})
AMOUNTS = frozenset({"value", "cost", "offerAmount", "budget"})
NUMBERS = frozenset({"latitude", "longitude", "probability"})
WHOLE = frozenset({"policyVersion"})
OBJECTS = frozenset({"properties", "attributes"})
LISTS = frozenset({"channels"})


class Unusable(Exception):  # never leaves this package
    """A value of one row cannot be what its field needs."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class FieldRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How one field is made of a row."""

    column: str | None = None
    constant: str | int | float | bool | None = None
    template: str | None = None
    object: dict[str, str] | None = None
    default: str | int | float | None = None
    scale: str | int | None = None
    timezone: str | None = None
    format: str | None = None
    split: str | None = None
    values: dict[str, str] | None = None

    def columns(self) -> set[str]:
        """Return the columns it reads."""
        named = {self.column} if self.column is not None else set[str]()
        return named | set((self.object or {}).values()) | set(_placeholders(self.template or ""))


class Document(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A mapping as it is written."""

    kind: Kind
    fields: dict[str, Any]
    where: dict[str, list[str | int | float | bool]] = {}


class ColumnMapping:
    """Turns rows into mappings from Winnow's names."""

    def __init__(self, kind: Kind, rules: Mapping[str, FieldRule], where: Mapping[str, list[object]]) -> None:
        self.kind = kind
        self._rules = rules
        self._where = {column: {_text(value) for value in values} for column, values in where.items()}
        self._zones = {name: ZoneInfo(rule.timezone) for name, rule in rules.items() if rule.timezone}

    def require_columns(self, present: Mapping[str, object]) -> None:
        """Raise InvalidInput where the mapping reads a column that the file does not have."""
        for name, rule in self._rules.items():
            _require(rule.columns(), present, f"fields.{name}")
        _require(set(self._where), present, "where")

    def wants(self, row: Mapping[str, object]) -> bool:
        """Tell whether the row is to be taken."""
        return all(_text(row.get(column)) in values for column, values in self._where.items())

    def apply(self, row: Mapping[str, object]) -> dict[str, object]:
        """Return the row's fields; raise Unusable where a value cannot be what its field needs."""
        made = ((name, self._make(name, rule, row)) for name, rule in self._rules.items())
        fields = {name: value for name, value in made if value is not None}
        for name in () if self.kind is Kind.EVENTS else REQUIRED[self.kind]:  # events are checked where all come from
            if name not in fields:
                raise Unusable(name, f"`{name}` is empty: fill it in, or give the mapping a `default`.")
        return fields

    def _make(self, name: str, rule: FieldRule, row: Mapping[str, object]) -> object:
        value = _raw(rule, row)
        if _is_empty(value):
            value = rule.default
        elif rule.values is not None:
            value = _renamed(name, rule.values, value)
        if value is None or rule.object is not None:
            return value
        return self._converted(name, rule, value)

    def _converted(self, name: str, rule: FieldRule, value: object) -> object:
        if name in TIMES:
            return _time(name, value, form=rule.format, zone=self._zones.get(name))
        if name in AMOUNTS:
            return _amount(name, value, rule.scale)
        if name in NUMBERS:
            return float(_amount(name, value, rule.scale))
        if name in WHOLE:
            return _whole(name, value)
        if name in LISTS:
            return [part.strip() for part in _text(value).split(rule.split or ",")]
        if name in OBJECTS:
            return value
        return _text(value)


def read_mapping_file(text: str) -> ColumnMapping:
    """Read a mapping; raise InvalidInput that names the key at fault."""
    try:
        document = msgspec.convert(tomllib.loads(text), Document)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"The mapping is not valid TOML ({error}): correct it.") from error
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The mapping cannot be used ({error}): correct this key.") from error
    rules = {name: _rule(name, value) for name, value in document.fields.items()}
    _check_names(document.kind, rules)
    return ColumnMapping(document.kind, rules, cast("Mapping[str, list[object]]", document.where))


def _rule(name: str, value: object) -> FieldRule:
    try:
        rule = FieldRule(column=value) if isinstance(value, str) else msgspec.convert(value, FieldRule)
        placeholders = _placeholders(rule.template or "")
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidInput(f"The mapping's key `fields.{name}` cannot be used: {error}.") from error
    sources = [source for source in (rule.column, rule.constant, rule.template, rule.object) if source is not None]
    if len(sources) != 1:
        raise InvalidInput(f"The mapping's key `fields.{name}` needs one of column, constant, template and object.")
    if rule.template is not None and not placeholders:
        raise InvalidInput(f"The mapping's key `fields.{name}.template` names no column: write it as {{column}}.")
    _check_options(name, rule)
    return rule


def _check_options(name: str, rule: FieldRule) -> None:
    if rule.scale is not None and not (name in AMOUNTS | NUMBERS and _is_number(rule.scale)):
        raise InvalidInput(f'The mapping\'s key `fields.{name}.scale` needs a number, such as "0.01", and an amount.')
    if rule.timezone is not None and not _is_zone(rule.timezone):
        raise InvalidInput(f"The mapping's key `fields.{name}.timezone` is no zone: write one such as Europe/Paris.")
    if name in OBJECTS and rule.template is not None:
        raise InvalidInput(f'The mapping\'s key `fields.{name}` is an object: write object = {{ name = "column" }}.')


def _check_names(kind: Kind, rules: Mapping[str, FieldRule]) -> None:
    known = (*REQUIRED[kind], *OPTIONAL[kind])
    for name in rules:
        if name not in known:
            raise InvalidInput(f"The mapping's key `fields.{name}` is no field of {kind}: use {', '.join(known)}.")
    for name in REQUIRED[kind]:
        if name not in rules:
            raise InvalidInput(f"The mapping's key `fields.{name}` is missing: {kind} need it.")


def _require(columns: set[str], present: Mapping[str, object], key: str) -> None:
    for column in sorted(columns - present.keys()):
        raise InvalidInput(
            f"The mapping's key `{key}` reads the column {column!r}, which the file does not have: "
            f"it has {', '.join(present)}."
        )


def _raw(rule: FieldRule, row: Mapping[str, object]) -> object:
    if rule.column is not None:
        return row.get(rule.column)
    if rule.object is not None:
        found = {name: row.get(column) for name, column in rule.object.items()}
        return {name: _plain(value) for name, value in found.items() if not _is_empty(value)} or None
    if rule.template is not None:
        values = {column: row.get(column) for column in _placeholders(rule.template)}
        return None if any(map(_is_empty, values.values())) else rule.template.format_map(values)
    return rule.constant


def _renamed(name: str, values: Mapping[str, str], value: object) -> str:
    text = _text(value)
    if text not in values:
        raise Unusable(name, f"The value {text[:100]!r} is not among the mapping's `values`: add it there.")
    return values[text]


def _time(name: str, value: object, *, form: str | None, zone: ZoneInfo | None) -> datetime:
    try:
        at = _parsed_time(value, form)
    except ValueError as error:
        raise Unusable(name, f"{_text(value)[:100]!r} is not a time: write ISO 8601, or give `format`.") from error
    if at.tzinfo is None:
        if zone is None:
            raise Unusable(name, "The time has no offset: say in the mapping in which `timezone` it is.")
        at = at.replace(tzinfo=zone)
    return at.astimezone(UTC)


def _parsed_time(value: object, form: str | None) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  # the mapping says in which zone
    text = _text(value)
    return datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007  # the same


def _amount(name: str, value: object, scale: str | int | None) -> Decimal:
    try:
        amount = Decimal(_text(value))
    except InvalidOperation as error:
        raise Unusable(name, f"{_text(value)[:100]!r} is not a number: correct the row or the mapping.") from error
    return amount if scale is None else amount * Decimal(scale)


def _whole(name: str, value: object) -> int:
    number = _amount(name, value, None)
    if not (number.is_finite() and number == number.to_integral_value()):
        raise Unusable(name, f"{_text(value)[:100]!r} is not a whole number: correct the row or the mapping.")
    return int(number)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # an id that a missing neighbour made a float
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list | dict):
        return cast("object", value)
    return value if isinstance(value, str | int | float | bool) else str(value)


def _is_empty(value: object) -> bool:
    return value is None or value == "" or value != value  # NaN is what tables write for nothing


def _placeholders(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def _is_number(scale: str | int) -> bool:
    try:
        return Decimal(scale).is_finite()
    except InvalidOperation:
        return False


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
