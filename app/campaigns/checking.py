"""What values may be, gathered as problems rather than raised one by one."""

import re
import zoneinfo
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import cast

import msgspec

from app.errors import AlreadyExists, DomainError, DomainErrors, InvalidInput, NotFound
from app.store.cursors import askable
from app.store.models.codes import Channel

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
OPAQUE_ID = re.compile(r"(mer|cmp|usr|tst|var|key)_[0-9]+")
CURRENCY = re.compile(r"[A-Z]{3}")
CENT = Decimal("0.01")
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
MAX_DEPTH = 16
MAX_JSON_BYTES = 16_384
LARGEST_INTEGER = 2**63 - 1


class Problems:
    """What is wrong with one input. `within` is the path to what is checked."""

    def __init__(self, *within: str, found: list[DomainError] | None = None) -> None:
        self._within = within
        self._found: list[DomainError] = [] if found is None else found

    def part(self, *path: str) -> "Problems":
        """Return where to note what is wrong with a part."""
        return Problems(*self._within, *path, found=self._found)

    def invalid(self, message: str, *path: str) -> None:
        """Note a value outside its range."""
        self.add(InvalidInput(message, path=self._within + path))

    def taken(self, key: str, *path: str) -> None:
        """Note a key that somebody else has."""
        self.add(AlreadyExists(f"The key {key!r} is taken: choose another.", path=self._within + path))

    def missing(self, what: str, reference: int | str, *path: str) -> None:
        """Note a reference that names nothing."""
        self.add(
            NotFound(f"There is no {what} {reference!r}: give an id or key that exists.", path=self._within + path)
        )

    def add(self, problem: DomainError) -> None:
        """Note any problem."""
        self._found.append(problem)

    def error(self) -> DomainErrors:
        """Return all problems as one error."""
        return DomainErrors(self._found)

    def raise_any(self) -> None:
        """Raise DomainErrors if there was any problem."""
        if self._found:
            raise self.error()

    def key(self, value: str) -> None:
        """A slug that cannot be mistaken for an id."""
        if not KEY.fullmatch(value):
            self.invalid("A key has 1 to 64 of a-z, 0-9, _ and -, and starts with a letter or digit.", "key")
        elif OPAQUE_ID.fullmatch(value):
            self.invalid("A key must not look like an id, such as cmp_12: choose another.", "key")

    def text(self, value: str, field: str, *, longest: int) -> None:
        """Text that says something and can be stored."""
        if not value.strip():
            self.invalid(f"`{field}` must not be empty: give 1 to {longest} characters.", field)
        elif len(value) > longest:
            self.invalid(f"`{field}` has {len(value)} characters: give at most {longest}.", field)
        elif not askable(value):
            self.invalid(f"`{field}` has a NUL or half a character: leave that out.", field)

    def currency(self, value: str) -> None:
        """An ISO 4217 code."""
        if not CURRENCY.fullmatch(value):
            self.invalid("A currency is three capital letters of ISO 4217, such as USD.", "currency")

    def money(self, value: Decimal, field: str, *, positive: bool = False, digits: int) -> None:
        """A finite amount with two decimals, at least 0 or above it."""
        if not value.is_finite():
            self.invalid(f"`{field}` is not a number: give an amount such as 5.00.", field)
        elif value < 0 or (positive and value == 0):
            self.invalid(f"`{field}` is too small: give {'more than' if positive else 'at least'} 0.", field)
        elif value >= 10**digits:
            self.invalid(f"`{field}` is too large: give less than {10**digits:,}.", field)
        elif value != value.quantize(CENT):
            self.invalid(f"`{field}` has more than two decimals: give an amount such as 5.00.", field)

    def channels(self, values: Sequence[Channel]) -> None:
        """At least one channel, each once."""
        if not values or Channel.NONE in values:
            self.invalid("A campaign goes over at least one channel: name PUSH, EMAIL, SMS or IN_APP.", "channels")
        elif len(set(values)) < len(values):
            self.invalid("A channel is named twice: name each once.", "channels")

    def times(self, starts_at: datetime | None, ends_at: datetime | None) -> None:
        """An end after its start."""
        valid = [self._time(at, field) for at, field in ((starts_at, "startsAt"), (ends_at, "endsAt"))]
        if all(valid) and starts_at is not None and ends_at is not None and ends_at <= starts_at:
            self.invalid("A campaign ends after it starts: give a later `endsAt`.", "endsAt")

    def position(self, latitude: float | None, longitude: float | None) -> None:
        """A place on earth in WGS 84 degrees, or none."""
        if (latitude is None) != (longitude is None):
            missing = "latitude" if latitude is None else "longitude"
            self.invalid("A place has a latitude and a longitude: give both or none.", missing)
        self._degrees(latitude, "latitude", limit=90)
        self._degrees(longitude, "longitude", limit=180)

    def timezone(self, value: str | None) -> None:
        """A name of the IANA time zone database."""
        if value is not None and value not in timezones():
            self.invalid("There is no such time zone: give a name such as Europe/Paris.", "timezone")

    def json_object(self, value: object | None, field: str) -> None:
        """A JSON object that can be stored and read back unchanged."""
        if value is None:
            return
        if not isinstance(value, dict):
            self.invalid(f"`{field}` must be a JSON object: give name and value pairs.", field)
        elif not storable(cast("object", value)):
            self.invalid(
                f"`{field}` cannot be stored: use finite 64-bit numbers, text without NUL, at most {MAX_DEPTH} levels.",
                field,
            )
        elif len(msgspec.json.encode(value)) > MAX_JSON_BYTES:
            self.invalid(f"`{field}` is too large: give at most {MAX_JSON_BYTES:,} bytes.", field)

    def _time(self, at: datetime | None, field: str) -> bool:
        if at is None:
            return True
        if at.tzinfo is None:
            self.invalid(f"`{field}` has no time zone: end it with Z or an offset.", field)
        elif not EARLIEST <= at <= LATEST:
            self.invalid(f"`{field}` is out of range: give a year from 1970 to 8999.", field)
        else:
            return True
        return False

    def _degrees(self, value: float | None, field: str, *, limit: int) -> None:
        if value is not None and not (isfinite(value) and abs(value) <= limit):
            self.invalid(f"`{field}` is out of range: give degrees from -{limit} to {limit}.", field)


@cache
def timezones() -> frozenset[str]:
    """Return the names of the IANA time zones known here."""
    return frozenset(zoneinfo.available_timezones())


def storable(value: object, depth: int = 0) -> bool:
    """Tell whether PostgreSQL's jsonb can hold a value and give it back unchanged."""
    if depth > MAX_DEPTH:
        return False
    check = _STORABLE.get(type(value))
    return check is not None and check(value, depth)


def _is_object(value: object, depth: int) -> bool:
    items = cast("dict[object, object]", value).items()
    return all(isinstance(name, str) and askable(name) and storable(item, depth + 1) for name, item in items)


_STORABLE: dict[type, Callable[[object, int], bool]] = {
    type(None): lambda _, __: True,
    bool: lambda _, __: True,
    str: lambda value, _: askable(cast("str", value)),
    int: lambda value, _: abs(cast("int", value)) <= LARGEST_INTEGER,
    float: lambda value, _: isfinite(cast("float", value)),
    list: lambda value, depth: all(storable(item, depth + 1) for item in cast("list[object]", value)),
    dict: _is_object,
}
