"""`winnow worker`: one more process that does background work, on this machine or another."""

import importlib

from app.commands.options import DatabaseUrl, LogFormat, LogLevel
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings

WORKER = "app.worker"
"""By name: it stands above the commands, as the web application does."""


def command(database_url: DatabaseUrl = None, log_format: LogFormat = None, log_level: LogLevel = None) -> None:
    """Do background work: reallocation of bandits, and whatever is queued.

    `winnow serve` has one worker of its own; this adds another, on the database that DATABASE_URL names. Stops on
    SIGTERM or Ctrl-C; what it was doing is taken up by another worker.
    """
    settings = Settings.load(database_url=database_url, log_format=log_format, log_level=log_level)
    configure_logging(settings)
    importlib.import_module(WORKER).run(settings)
