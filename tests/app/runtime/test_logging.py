import json
import logging
from collections.abc import Callable

import pytest
import structlog

from app.runtime.logging import configure_logging, mask_secrets, mask_text
from app.runtime.settings import Settings


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://user:hush@host/db failed", "hush"),
        ("Authorization: Bearer hush.hush-hush", "hush"),
        ("key wnw_hush_HUSH-9 is unknown", "hush"),
    ],
)
def test_secrets_in_text_are_masked(text: str, secret: str):
    assert secret not in mask_text(text).lower()


def test_secrets_by_name_are_masked_at_any_depth():
    event = {"password": "hush", "request": {"headers": {"X-API-Key": "hush", "accept": "x"}}, "count": 3}
    masked = mask_secrets(None, "info", event)
    assert masked == {"password": "***", "request": {"headers": {"X-API-Key": "***", "accept": "x"}}, "count": 3}


SECRET = "hush"


def fail(secret: str) -> None:
    raise RuntimeError(f"at postgres://u:{secret}@h/d")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_both_loggers_write_without_secrets(written: Callable[[], str], log_format: str):
    configure_logging(Settings(log_format=log_format))
    structlog.get_logger("winnow.test").info("connected", database_url="hush", where="postgres://u:hush@h/d")
    logging.getLogger("other").warning("tried %s", "Bearer hush")
    try:
        fail(SECRET)  # a traceback that printed local variables would show it
    except RuntimeError:
        structlog.get_logger("winnow.test").exception("failed")
    text = written()
    assert "connected" in text
    assert "RuntimeError" in text
    assert "tried" in text
    assert "hush" not in text


def test_json_lines_are_json(written: Callable[[], str]):
    configure_logging(Settings(log_format="json"))
    structlog.get_logger("winnow.test").warning("noticed", campaign=7)
    line = json.loads(written())
    assert (line["event"], line["level"], line["logger"], line["campaign"]) == ("noticed", "warning", "winnow.test", 7)
    assert line["timestamp"].endswith("Z")


def test_a_database_that_is_away_is_told_in_our_own_lines(written: Callable[[], str]):
    configure_logging(Settings(log_format="json"))
    logging.getLogger("asyncpg.pool").warning("Failed to restore the pool connection floor; retrying")
    assert written() == ""
    logging.getLogger("asyncpg.pool").error("something else")
    assert "something else" in written()


def test_levels_are_kept(written: Callable[[], str]):
    configure_logging(Settings(log_level="error", log_format="json"))
    structlog.get_logger("winnow.test").warning("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    assert written() == ""
