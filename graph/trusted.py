"""Trusted documents: known beforehand, so that clients may send an id for a text, and all others may be refused.

They come from a folder of `.graphql` files, each known by the SHA-256 of its text, or from a JSON file: an object of
texts by id, as GraphQL Code Generator and Relay write it, or Apollo's manifest of operations.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, cast

import orjson

from app.errors import InvalidInput, NotAllowed, NotFound
from graph.answers import Request

PREFIX = "sha256:"
NOT_SUPPORTED = "PersistedQueryNotSupported"
"""What Apollo's clients understand: they send the text, and no more hashes."""


class TrustedDocuments:
    """Texts by id; where `only` these are allowed, no other is executed."""

    def __init__(self, texts: Mapping[str, str], *, only: bool) -> None:
        self._texts = {**texts, **{sha256(text.encode()).hexdigest(): text for text in texts.values()}}
        self._allowed = frozenset(texts.values()) if only else None

    @classmethod
    def load(cls, path: Path | None, *, only: bool) -> Self:
        """Read a folder or a JSON file; raise InvalidInput where that cannot be done."""
        if path is None:
            return cls({}, only=only)
        try:
            found = _of_folder(path) if path.is_dir() else _of_file(path)
            return cls(dict(found), only=only)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInput(
                f"The trusted documents at {path} cannot be read ({error}): name a folder of .graphql files, "
                "a JSON object of texts by id, or Apollo's manifest."
            ) from error

    def text_of(self, request: Request) -> str:
        """Return the text of what a request asks for; raise where it names none that is known, or allowed."""
        if not request.query:
            return self._named(request)
        if self._allowed is not None and request.query not in self._allowed:
            raise NotAllowed("Only documents that were registered beforehand are executed here: send the id of one.")
        return request.query

    def _named(self, request: Request) -> str:
        name = request.document or ""
        text = self._texts.get(name.removeprefix(PREFIX))
        if text is None:
            message = f"There is no document {name!r}: register it, or send the operation's text as `query`."
            raise NotFound(NOT_SUPPORTED if request.by_hash else message, path=("documentId",))
        return text


def _of_folder(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.rglob("*.graphql")):
        text = file.read_text()
        yield sha256(text.encode()).hexdigest(), text


def _of_file(file: Path) -> Iterator[tuple[str, str]]:
    content: Any = orjson.loads(file.read_bytes())
    operations = content.get("operations")
    if isinstance(operations, list):
        for operation in cast("list[dict[str, Any]]", operations):
            yield operation["id"], operation["body"]
        return
    for name, text in cast("dict[str, Any]", content).items():
        if not isinstance(text, str):
            raise TypeError(f"{name} is not a text")
        yield name, text
