import os
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.runtime.settings import Settings, child_environment, environment_name


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch):
    for name in list(os.environ):
        if name.startswith("WINNOW_") or name in ("DATABASE_URL", "COMPUTE_SCHEDULER"):
            monkeypatch.delenv(name)


def test_given_before_environment_before_default(monkeypatch: pytest.MonkeyPatch):
    assert Settings.load().port == 8000
    monkeypatch.setenv("WINNOW_PORT", "9000")
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/x")
    assert Settings.load().port == 9000
    settings = Settings.load(port=9001, host=None, database_url="postgresql://given/x")
    assert (settings.port, settings.host) == (9001, "127.0.0.1")
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://given/x"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "")
    assert Settings.load().database_url is None


def test_a_child_loads_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    settings = Settings.load(
        data_dir=tmp_path,
        database_url="postgresql://u:p@h/d",
        bootstrap_key="k" * 20,
        allowed_origins="https://a.example, https://b.example",
        statement_timeout_seconds=1.5,
        log_format="json",
        quiet_hours="22, 23,0",
    )
    for name, value in child_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == settings
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.quiet_hours == (22, 23, 0)


UNUSABLE = [
    ("port", 70000),
    ("workers", 0),
    ("log_format", "xml"),
    ("nonsense", 1),
    ("quiet_hours", "24"),
    ("quiet_hours", "noon"),
    ("quiet_hours", ",".join(map(str, range(24)))),
    ("send_time_exploration", 1.01),
]


@pytest.mark.parametrize(("field", "value"), UNUSABLE)
def test_unusable_values_are_refused_by_name(field: str, value: object):
    with pytest.raises(InvalidInput, match=field):
        Settings.load(**{field: value})


def test_secrets_do_not_show():
    settings = Settings.load(database_url="postgresql://u:hush@h/d", bootstrap_key="hush-hush-hush-hush")
    assert "hush" not in repr(settings)


def test_names_of_variables():
    assert environment_name("database_url") == "DATABASE_URL"
    assert environment_name("compute_scheduler") == "COMPUTE_SCHEDULER"
    assert environment_name("bootstrap_key") == "WINNOW_BOOTSTRAP_KEY"
