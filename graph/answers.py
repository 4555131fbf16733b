"""What a client sends, and what it gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

WRITING = orjson.OPT_UTC_Z
"""Moments may be written by orjson: in UTC with a Z, as the scalar DateTime says."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends, by whatever way: a text, or the id of a trusted document.

    `by_hash` says that the id came as Apollo's clients send it.
    """

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None
    document: str | None = None
    by_hash: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets: `data` where it was executed, and errors as clients may see them.

    `text` is the response where it was written already; `data` may then hold what only `encoded` makes JSON of.
    """

    executed: bool
    data: Mapping[str, Any] | None
    errors: Sequence[Mapping[str, Any]] = ()
    text: bytes | None = None

    def encoded(self) -> bytes:
        """Return the response of the specification, in JSON."""
        return orjson.dumps(self._response(), option=WRITING) if self.text is None else self.text

    def body(self) -> dict[str, Any]:
        """Return the response of the specification."""
        return orjson.loads(self.encoded())

    def _response(self) -> dict[str, Any]:
        body: dict[str, Any] = {"data": self.data} if self.executed else {}
        if self.errors:
            body["errors"] = self.errors
        return body
