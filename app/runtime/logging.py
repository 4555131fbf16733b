"""Structured logs on standard error, secrets masked."""

import logging
import re
import sys
from collections.abc import Mapping

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.runtime.settings import Settings

MASK = "***"
_CHATTY = ("asyncio", "httpx", "httpcore", "tortoise", "tortoise.db_client", "uvicorn.error")
_TOLD_BY_OURSELVES = ("asyncpg.pool",)
"""It writes a stack at each try to reach a database that is away, of which our own lines tell in one."""
_SECRET_NAME = re.compile(
    r"password|secret|token|authorization|api[-_]?key|bootstrap[-_]?key|database[-_]?url|cookie", re.IGNORECASE
)
_SECRET_TEXT = (
    (re.compile(r"(?<=://)([^\s:/@]*):([^\s/]*)@"), rf"\1:{MASK}@"),
    (re.compile(r"(?i)\b(bearer|x-api-key:?)\s+\S+"), rf"\1 {MASK}"),
    (re.compile(r"\bwnw_[A-Za-z0-9_-]+"), f"wnw_{MASK}"),
)


def configure_logging(settings: Settings) -> None:
    """Send structlog's and the standard library's records to standard error in the settings' format."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared(), processors=_rendering(settings))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _TOLD_BY_OURSELVES:
        logging.getLogger(name).setLevel(max(level, logging.ERROR))
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what looks like a secret, by its name or by its form."""
    return {name: _masked(name, value) for name, value in event.items()}


def mask_text(text: str) -> str:
    """Replace passwords in addresses, bearer tokens and keys in running text."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _masked(name: str, value: object) -> object:
    if _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bytes):
        return mask_text(value.decode("latin-1"))
    if isinstance(value, list | tuple):
        return [_masked(name, item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # any sequence will do
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # any mapping will do
    return value


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _rendering(settings: Settings) -> list[Processor]:
    unwrap = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return [unwrap, structlog.processors.format_exc_info, mask_secrets, _renderer(settings)]


def writes_json(settings: Settings) -> bool:
    """Tell whether log lines are JSON rather than for people."""
    return settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())


def _renderer(settings: Settings) -> Processor:
    terminal = sys.stderr.isatty()
    if writes_json(settings):
        return structlog.processors.JSONRenderer()
    # a rich traceback would show local variables, and with them secrets
    return structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
