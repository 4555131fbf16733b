"""The one reader of the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import InvalidInput

ENVIRONMENT_PREFIX = "WINNOW_"


def default_data_dir() -> Path:
    """Return where data goes unless told: the user's data folder, for root the system's."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib/winnow")
    return Path(platformdirs.user_data_dir("winnow", appauthor=False))


class Settings(BaseSettings):
    """Everything that can be configured: given values before the environment before defaults."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, frozen=True, populate_by_name=True, extra="forbid"
    )

    # the database
    database_url: SecretStr | None = Field(
        None, validation_alias="DATABASE_URL", description="PostgreSQL 15 or newer to use instead of the embedded one"
    )
    data_dir: Path = Field(default_factory=default_data_dir, description="Folder of the embedded database")
    pool_size: int = Field(10, ge=1, le=1000, description="Connections of a web process for set-based queries")
    orm_pool_size: int = Field(5, ge=1, le=1000, description="Connections of a web process for single rows")
    statement_timeout_seconds: float = Field(30.0, gt=0, description="Longest a query of a web process may take")
    replica_url: SecretStr | None = Field(
        None, description="A streaming standby of the database, for reads of the graph that may be a little old"
    )
    replica_max_lag_seconds: float = Field(
        10.0, ge=1, le=86_400, description="How old what the replica shows may be; past it reads go to the primary"
    )

    # the web process
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=256, description="Web processes that share the port")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins, divided by commas, whose pages may call the graph from a browser"
    )
    shutdown_seconds: float = Field(10.0, gt=0, description="How long open requests may take to finish on a stop")

    # keys
    bootstrap_key: SecretStr | None = Field(
        None, min_length=1, description="An admin key that works from the first start on"
    )

    # heavy work
    compute_scheduler: str | None = Field(
        None, validation_alias="COMPUTE_SCHEDULER", description="Address of a Dask scheduler for heavy work"
    )
    compute_workers: int = Field(1, ge=1, le=256, description="Processes for heavy work where no scheduler is named")

    # background work
    run_worker: bool = Field(True, description="Whether `winnow serve` runs a worker for background work")
    job_heartbeat_seconds: float = Field(
        8.0, ge=1.0, le=3600.0, description="Silence after which a job's worker is taken for dead and it is run again"
    )

    keep_event_months: int | None = Field(
        None, ge=1, le=1200, description="Whole months of events kept before the present one; all where not set"
    )

    keep_advice_days: int | None = Field(
        90, ge=1, le=36500, description="Days for which advice is kept that no longer stands"
    )

    # what models learn from
    train_nightly: bool = Field(True, description="Whether all models are trained every night, at 02:47 UTC")
    training_days: float = Field(90.0, ge=1, le=3650, description="Days of events that models learn from")
    outcome_days: float = Field(
        7.0, gt=0, le=365, description="Days after a send in which a conversion, or an open, counts as its own"
    )
    kept_model_versions: int = Field(5, ge=1, le=1000, description="Versions of each model that are kept")

    # what is advised
    quiet_hours: Annotated[tuple[int, ...], NoDecode] = Field(
        (), description="Local hours, divided by commas, at which no message is advised, such as 22,23,0,1,2,3,4,5,6"
    )
    send_time_exploration: float = Field(
        0.0, ge=0, le=1, description="Share of users who are advised a random hour each day, so that models learn"
    )

    # the graph
    completion: Literal["compiled", "generic"] = Field(
        "compiled", description="How answers are put together: compiled once an operation, or field by field"
    )
    trusted_documents: Path | None = Field(
        None, description="Folder of .graphql files, or JSON file, whose operations may be sent as an id"
    )
    trusted_documents_only: bool = Field(False, description="Whether operations that are not among them are refused")

    # limits
    max_request_bytes: int = Field(1_000_000, ge=1, description="Largest GraphQL request body, in bytes")
    max_events_bytes: int = Field(50_000_000, ge=1, description="Largest body of /v1/events, unpacked, in bytes")
    max_query_depth: int = Field(15, ge=1, description="Deepest nesting of a GraphQL operation")
    max_query_tokens: int = Field(5_000, ge=1, description="Most tokens in a GraphQL document")
    max_query_aliases: int = Field(50, ge=0, description="Most aliases in a GraphQL operation")
    max_query_complexity: int = Field(50_000, ge=1, description="Most fields an operation may come to, lists counted")
    head_seconds: float = Field(10.0, gt=0, description="How long the head of a request may take to arrive, in seconds")
    slow_seconds: float = Field(
        30.0, gt=0, description="How long a client may send less than 500 bytes a second, or not read its answer"
    )
    max_subscriptions: int = Field(100, ge=1, description="Most live subscriptions on one connection")
    max_feeds: int = Field(
        2_000,
        ge=1,
        description="Most different live subscriptions that a web process answers, however many follow each",
    )
    requests_per_second: float = Field(5_000.0, gt=0, description="Sustained requests a second for one key")
    requests_burst: int = Field(10_000, ge=1, description="Requests one key may make at once after a rest")
    events_per_second: float = Field(100_000.0, gt=0, description="Sustained events a second for one key")
    events_burst: int = Field(1_000_000, ge=1, description="Events one key may send at once after a rest")

    # logs
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Log lines as JSON or for people; auto asks the terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line written")

    # traces
    otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Address of an OpenTelemetry collector that takes spans by OTLP over HTTP",
    )

    # metrics
    metrics_dir: Path | None = Field(
        None,
        validation_alias="PROMETHEUS_MULTIPROC_DIR",
        description="Folder in which web processes add up their metrics; several get one made for the run",
    )

    @field_validator("allowed_origins", "quiet_hours", mode="before")
    @classmethod
    def _divide(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("quiet_hours")
    @classmethod
    def _check_hours(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(hour not in range(24) for hour in value) or len(set(value)) > 23:
            raise ValueError("hours are from 0 to 23, and one at least is not quiet")
        return value

    @classmethod
    def load(cls, **given: object) -> Self:
        """Read the environment; values given here that are not None come first."""
        try:
            return cls(**{name: cast("Any", value) for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise InvalidInput(_explain(error)) from error

    def to_environment(self) -> dict[str, str]:
        """Return the variables that make a child process load these same settings."""
        pairs = ((environment_name(name), getattr(self, name)) for name in type(self).model_fields)
        return {name: _to_text(value) for name, value in pairs if value is not None}


def environment_name(field: str) -> str:
    """Return the environment variable that sets `field`."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else ENVIRONMENT_PREFIX + field.upper()


def child_environment(settings: Settings) -> Mapping[str, str]:
    """Return this process's environment with `settings` written over it."""
    return {**os.environ, **settings.to_environment()}


def _to_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)


def _explain(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    lines = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in details)
    return f"Settings are not usable ({'; '.join(lines)}). Correct these options or environment variables."
