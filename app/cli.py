"""The command line: mounts the commands of app.commands."""

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from app import commands
from app.errors import DomainError, InvalidInput

_DEFINES_COMMAND = re.compile(r"^(def command\(|command = )", re.MULTILINE)


def command_names() -> list[str]:
    """Return the names of all commands, in order: the modules of app.commands that define `command`."""
    # read, not imported: one command starts without what the others need
    modules = (path for folder in commands.__path__ for path in Path(folder).glob("*.py"))
    return sorted(path.stem.replace("_", "-") for path in modules if _DEFINES_COMMAND.search(path.read_text()))


def build(names: Iterable[str]) -> typer.Typer:
    """Return the command line with these commands."""
    line = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
    line.callback()(_root)
    for name in names:
        _mount(line, name)
    return line


def main() -> None:
    """Run the command line; a refusal is one message on standard error and an exit code other than 0."""
    known = command_names()
    wanted = [argument for argument in sys.argv[1:2] if argument in known]
    try:
        build(wanted or known)()  # others are not even imported: some take seconds
    except DomainError as error:
        typer.echo(f"winnow: {error.message}", err=True)
        raise SystemExit(2 if isinstance(error, InvalidInput) else 1) from error


def _mount(line: typer.Typer, name: str) -> None:
    command = importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}").command
    if isinstance(command, typer.Typer):
        line.add_typer(command, name=name)
    else:
        line.command(name)(command)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"Winnow {importlib.metadata.version('winnow')}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Winnow: marketing campaigns as experiments, on one GraphQL graph."""


if __name__ == "__main__":
    main()
