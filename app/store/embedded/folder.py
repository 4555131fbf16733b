"""The data folder: its layout, who owns it, and how others reach what runs in it.

::

    DIR/
    ├── postgres/          PostgreSQL's own data, readable by the user that runs it alone
    ├── postgres.log       what PostgreSQL says; the run before the last is kept as postgres.log.1
    ├── winnow.lock        held by the process that owns the folder
    └── connection.json    where the running PostgreSQL listens; only while it runs
"""

import fcntl
import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from app.errors import DataFolderInUse, DataFolderUnusable, IncompatibleVersion

_LONGEST_SOCKET_FOLDER = 85
"""Bytes; a socket's whole path may have 107, of which PostgreSQL's lock file takes 19."""


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where the PostgreSQL of a data folder listens, and which process owns it."""

    owner: int
    socket_folder: str
    user: str
    database: str

    @property
    def url(self) -> str:
        """The address as DATABASE_URL takes it."""
        return f"postgresql://{self.user}@/{self.database}?host={self.socket_folder}"


class DataFolder:
    """One data folder, opened for writing by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.cluster = self.path / "postgres"
        self.log = self.path / "postgres.log"
        self._connection = self.path / "connection.json"
        self._lock: int | None = None

    def acquire(self) -> None:
        """Become the folder's owner, making it where it is not there yet; raise DataFolderInUse where another is."""
        self._make()
        lock = os.open(self.path / "winnow.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise DataFolderInUse(self._in_use()) from error
        self._lock = lock
        self._withdraw()

    def release(self) -> None:
        """Let somebody else own the folder; do nothing where it is not ours."""
        if self._lock is not None:
            self._withdraw()
            os.close(self._lock)
            self._lock = None

    def publish(self, listening: Listening) -> None:
        """Tell other processes of this user where PostgreSQL listens."""
        temporary = self._connection.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(msgspec.json.encode(listening))
        temporary.replace(self._connection)

    def listening(self) -> Listening | None:
        """Return where the running PostgreSQL listens, None where none does."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._connection.read_bytes(), type=Listening)
        return None

    def check_version(self, major: int) -> None:
        """Raise IncompatibleVersion where the folder was written by another major version than `major`."""
        written = self.written_by()
        if written is not None and written != major:
            raise IncompatibleVersion(
                f"{self.cluster} was written by PostgreSQL {written}, and this Winnow brings PostgreSQL {major}, which "
                f"cannot open it. Export with the Winnow that wrote it (pg_dump) and import into a new --data-dir, "
                f"or run a PostgreSQL {written} server on it and set DATABASE_URL."
            )

    def written_by(self) -> int | None:
        """Return the major version that wrote the folder, None where none did."""
        version = self.cluster / "PG_VERSION"
        if not version.exists():
            return None
        try:
            return int(version.read_text().strip().split(".")[0])
        except (OSError, ValueError) as error:
            raise DataFolderUnusable(
                f"{version} cannot be read ({error}): restore the folder from a backup, or choose another --data-dir."
            ) from error

    def socket_folder(self, owner: int) -> Path:
        """Return a folder, short enough for a socket and closed to other users, for PostgreSQL run by user `owner`."""
        for candidate in self._socket_candidates():
            if _claim(candidate, owner):
                return candidate
        folder = Path(tempfile.mkdtemp(prefix="winnow-", dir="/tmp"))  # mkdtemp is what makes it safe
        os.chown(folder, owner, -1)
        return folder

    def _socket_candidates(self) -> list[Path]:
        name = f"winnow-{hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]}"
        runtime = [] if os.geteuid() == 0 else [Path(place) for place in (os.environ.get("XDG_RUNTIME_DIR"),) if place]
        places = [self.path / "run", *(place / name for place in (*runtime, Path("/tmp")))]  # noqa: S108  # see _claim
        # what root hands to another user must be reached by that user: the data folder may be closed to it
        usable = places[1:] if os.geteuid() == 0 else places
        return [place for place in usable if len(os.fsencode(place)) <= _LONGEST_SOCKET_FOLDER]

    def _withdraw(self) -> None:
        self._connection.unlink(missing_ok=True)

    def _make(self) -> None:
        try:
            self.path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataFolderUnusable(
                f"The data folder {self.path} cannot be made ({error.strerror}): choose another with --data-dir."
            ) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise DataFolderUnusable(f"The data folder {self.path} is not writable: choose another with --data-dir.")

    def _in_use(self) -> str:
        listening = self.listening()
        where = f" (process {listening.owner}); its database answers at {listening.url}" if listening else ""
        return (
            f"The data folder {self.path} is in use by another Winnow{where}. Stop that one, choose another "
            "--data-dir, or set DATABASE_URL to share a database."
        )


def _claim(folder: Path, owner: int) -> bool:
    """Make the folder ours, or tell that it is somebody else's (an attacker may have made it first)."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    except FileExistsError:
        pass
    except OSError:
        return False
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700
    return private and status.st_uid == owner
