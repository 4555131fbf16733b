"""One line a request: written past the general log, whose generality would cost as much as a small request does."""

import os
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import structlog

from app.runtime.logging import mask_text, writes_json
from app.runtime.settings import Settings

LOGGER = "winnow.access"
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
STANDARD_ERROR = 2

type AccessLog = Callable[[dict[str, object]], None]
"""Writes the members of one line: method, path, status, milliseconds, key, request_id."""


def access_log(settings: Settings, *, descriptor: int = STANDARD_ERROR) -> AccessLog:
    """Return what writes a request's line in the settings' format; at a level above info, nothing.

    Probes and scrapes are written at the level debug only.
    """
    if settings.log_level not in {"debug", "info"}:
        return lambda _line: None
    write = _json_to(descriptor) if writes_json(settings) else _for_people
    if settings.log_level == "debug":
        return write
    return lambda line: None if line["path"] in QUIET_PATHS else write(line)


def _json_to(descriptor: int) -> AccessLog:
    def write(line: dict[str, object]) -> None:
        path = mask_text(str(line["path"]))
        about = {"event": "request", "level": "info", "logger": LOGGER, "timestamp": datetime.now(UTC)}
        os.write(descriptor, orjson.dumps({**line, "path": path, **about}, option=_LINE))

    return write


_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


def _for_people(line: dict[str, object]) -> None:
    structlog.stdlib.get_logger(LOGGER).info("request", **line | {"path": _printable(str(line["path"]))})


def _printable(path: str) -> str:
    """Return a path in which nothing moves a terminal's cursor or makes a line of its own."""
    return path if path.isprintable() else path.encode("unicode_escape").decode()
