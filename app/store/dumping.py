"""A database as one file, and back: by PostgreSQL's own pg_dump and pg_restore."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from app.errors import DatabaseUnavailable, InvalidInput
from app.store.database import unavailable
from app.store.embedded.binaries import wheel_binaries

_LONGEST_REASON = 2_000
_TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"


def dump(url: str, file: Path) -> int:
    """Write everything of a database into a file, as it is at one moment, while others go on; return its bytes."""
    major, _ = asyncio.run(_looked_at(url))
    partial = file.with_name(f"{file.name}.part")
    try:
        partial.touch(mode=0o600)
        _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={partial}"], url, major)
        return partial.replace(file).stat().st_size
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written ({error.strerror}): choose another place.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def restore(url: str, file: Path) -> None:
    """Fill an empty database from a file, wholly or not at all; raise InvalidInput where it is not empty."""
    major, tables = asyncio.run(_looked_at(url))
    if tables:
        message = f"The database has {tables} tables: restore into an empty one, by another --data-dir or DATABASE_URL."
        raise InvalidInput(message)
    options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run("pg_restore", [*options, str(file)], url, major)


async def _looked_at(url: str) -> tuple[int, int]:
    """Return the server's major version, and how many tables the database has."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        raise unavailable(error) from error
    try:
        version = int(await connection.fetchval("SHOW server_version_num"))
        return version // 10_000, await connection.fetchval(_TABLES)
    finally:
        await connection.close()


def _run(program: str, options: Sequence[str], url: str, major: int) -> None:
    address, password = _divided(url)
    command = [_found(program, major), f"--dbname={address}", *options]
    environment = {**os.environ, "PGAPPNAME": "winnow", **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DatabaseUnavailable(f"{program} failed: {done.stderr.strip()[-_LONGEST_REASON:]}")


def _found(program: str, major: int) -> str:
    """Return the machine's own program where it is new enough for the server: the wheel's speaks no TLS."""
    own = shutil.which(program)
    return own if own is not None and _major(own) >= major else str(wheel_binaries().folder / program)


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else 0


def _divided(url: str) -> tuple[str, str | None]:
    """Return the address without its password, which would be seen among the machine's processes, and the password."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    address = urlunsplit(parts._replace(netloc=f"{name}@{place}" if name else place))
    return address, None if parts.password is None else unquote(parts.password)
