"""As whom PostgreSQL runs: it refuses root, so root hands it to a user of its own."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from app.errors import DataFolderUnusable
from app.runtime.processes import Account

OWN_USER = "winnow-postgres"
_FALLBACK_USER = "nobody"


def database_account(cluster: Path) -> Account | None:
    """Return the user to hand PostgreSQL to, or None to run it as ourselves.

    A cluster that exists already belongs to somebody: as root its owner runs it, as anybody else it must be ours.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        _refuse_foreign(cluster, owner)
        return None
    return _account(pwd.getpwuid(owner)) if owner else _own_account()


def _refuse_foreign(cluster: Path, owner: int | None) -> None:
    if owner is not None and owner != os.geteuid():
        raise DataFolderUnusable(
            f"{cluster} belongs to {_name(owner)}: run Winnow as that user or as root, or choose another --data-dir."
        )


def _own_account() -> Account:
    known = _look_up(OWN_USER) or _create() or _look_up(_FALLBACK_USER)
    if known is None:
        raise DataFolderUnusable(
            f"PostgreSQL cannot run as root, and there is no user to hand it to: create a user named {OWN_USER}, "
            "run Winnow as another user than root, or set DATABASE_URL."
        )
    return known


def _create() -> Account | None:
    program = shutil.which("useradd", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if program is None:
        return None
    home = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
    subprocess.run([program, "--system", "--user-group", *home, OWN_USER], capture_output=True, check=False)
    return _look_up(OWN_USER)  # there also where another process was faster


def _look_up(name: str) -> Account | None:
    try:
        return _account(pwd.getpwnam(name))
    except KeyError:
        return None


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(user=entry.pw_uid, group=entry.pw_gid, name=entry.pw_name)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
