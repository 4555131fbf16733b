"""Options that set a setting: given on the command line, else by the environment, else the default."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from app.runtime.settings import Settings, environment_name


def setting(field: str, *, flag: str | None = None) -> Any:
    """Return the option that sets a field of Settings; its help names the variable and the default."""
    known = Settings.model_fields[field]
    default = _shown(known.get_default(call_default_factory=True))
    return typer.Option(
        flag or "--" + field.replace("_", "-"),
        help=f"{known.description}. Environment: {environment_name(field)}. Default: {default}.",
        show_default=False,
    )


def _shown(default: object) -> str:
    return "none" if default in (None, ()) else str(default)


DataDir = Annotated[Path | None, setting("data_dir")]
DatabaseUrl = Annotated[str | None, setting("database_url")]
Host = Annotated[str | None, setting("host")]
Port = Annotated[int | None, setting("port")]
Workers = Annotated[int | None, setting("workers")]
LogFormat = Annotated[Literal["auto", "json", "console"] | None, setting("log_format")]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"] | None, setting("log_level")]
RunWorker = Annotated[bool | None, setting("run_worker", flag="--worker/--no-worker")]
