"""Opaque ids: a prefix that says of what, and a number."""

import re
from enum import StrEnum
from operator import attrgetter

import strawberry

_OPAQUE = re.compile(r"(?P<prefix>[a-z]{3})_(?P<number>[1-9][0-9]{0,17})")


class Kind(StrEnum):
    """What an id is of: its prefix."""

    MERCHANT = "mer"
    CAMPAIGN = "cmp"
    USER = "usr"
    TEST = "tst"
    VARIANT = "var"
    ANALYSIS = "ana"
    JOB = "job"
    MODEL = "mod"
    RECOMMENDATION = "rec"


def encode(kind: Kind, number: int) -> strawberry.ID:
    """Return the opaque id of a row."""
    return strawberry.ID(f"{kind}_{number}")


class Identified:
    """Reads the opaque id of a row, whose number is the attribute at `path`."""

    __slots__ = ("_number", "kind", "path")

    def __init__(self, kind: Kind, path: str = "id") -> None:
        self.kind = kind
        self.path = path
        self._number = attrgetter(path)

    def __call__(self, row: object) -> strawberry.ID:
        """Return the id."""
        return encode(self.kind, self._number(row))


def decode(kind: Kind, text: str) -> int | str:
    """Return the row's number where `text` is an opaque id of this kind, else `text` itself: a key."""
    opaque = _OPAQUE.fullmatch(text)
    return int(opaque["number"]) if opaque and opaque["prefix"] == kind.value else text
