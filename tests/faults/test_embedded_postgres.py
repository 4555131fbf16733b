"""The embedded PostgreSQL under what happens to servers: killed, twice at once, on old data, as root and as others."""

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from app.errors import DatabaseUnavailable, DataFolderInUse, DataFolderUnusable, IncompatibleVersion
from app.runtime.processes import Account, Backoff
from app.store.embedded.accounts import database_account
from app.store.embedded.binaries import Binaries, wheel_binaries
from app.store.embedded.leftovers import processes_on
from app.store.embedded.server import EmbeddedPostgres, shared_postgres

POSTGRESQL_15 = Binaries(Path("/usr/lib/postgresql/15/bin"))
IS_ROOT = os.geteuid() == 0
QUICK = Backoff(first_seconds=0.01)

OWNER = """
import sys, time
from pathlib import Path
from app.store.embedded.server import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as server:
    print(server.url, server.process_id, flush=True)
    while True:
        time.sleep(0.05)
        server.check()
"""


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def ask(url: str, query: str) -> object:
    async def fetch() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())


@contextmanager
def owner(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Run the embedded PostgreSQL in a process of its own, as `winnow serve` does."""
    with subprocess.Popen([sys.executable, "-c", OWNER, folder], stdout=subprocess.PIPE, text=True) as process:
        try:
            url, postgres = process.stdout.readline().split()
            yield process, url, int(postgres)
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    until(lambda: not processes_on(tmp_path / "data" / "postgres"))  # whatever the test did, nothing stays behind


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "data"
    with EmbeddedPostgres(folder, durable=False) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    return folder


@pytest.fixture
def prepared(folder: Path, original: Path) -> Path:
    """A folder with a stopped PostgreSQL and one row."""
    subprocess.run(["cp", "-a", original, folder], check=True)
    return folder


def kept(server: EmbeddedPostgres) -> object:
    return ask(server.url, "SELECT answer FROM kept")


def test_start_stop_start(prepared: Path):
    assert not (prepared / "postgres" / "postmaster.pid").exists()
    assert not (prepared / "connection.json").exists()
    with EmbeddedPostgres(prepared) as server:
        assert kept(server) == 42
        assert ask(server.url, "SHOW synchronous_commit") == "on"
        assert ask(server.url, "SHOW fsync") == "on"
        assert ask(server.url, "SHOW listen_addresses") == ""


def test_sockets_and_data_are_closed_to_others(folder: Path):
    with EmbeddedPostgres(folder) as server:
        socket_folder = Path(server.url.split("host=")[1])
        assert socket_folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "postgres").stat().st_mode & 0o777 == 0o700
        assert (folder / "connection.json").stat().st_mode & 0o777 == 0o600
        assert len(str(socket_folder)) < 88
    assert not socket_folder.exists()


def test_a_long_path_gets_a_short_socket(tmp_path: Path):
    folder = tmp_path / ("long" * 30) / "data"
    with EmbeddedPostgres(folder) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_kill_of_the_owner_takes_postgres_along_and_loses_nothing(prepared: Path):
    with owner(prepared) as (process, url, _):
        ask(url, "INSERT INTO kept VALUES (43)")
        process.kill()
        process.wait()
        if sys.platform == "linux":
            until(lambda: not processes_on(prepared / "postgres"))
    with EmbeddedPostgres(prepared) as server:
        assert ask(server.url, "SELECT array_agg(answer ORDER BY answer) FROM kept") == [42, 43]


def test_kill_of_the_owner_and_of_postgres(prepared: Path):
    with owner(prepared) as (process, url, postgres):
        ask(url, "INSERT INTO kept VALUES (43)")
        for victim in (process.pid, postgres):
            os.kill(victim, signal.SIGKILL)
        process.wait()
    with EmbeddedPostgres(prepared) as server:
        assert ask(server.url, "SELECT count(*) FROM kept") == 2


def test_a_killed_postgres_is_started_again(prepared: Path):
    with EmbeddedPostgres(prepared, backoff=QUICK) as server:
        ask(server.url, "INSERT INTO kept VALUES (43)")
        before = server.process_id
        os.kill(before, signal.SIGKILL)
        until(lambda: not server.check())
        until(lambda: server.check() and server.process_id != before)
        until(lambda: _answers(server.url))
        assert ask(server.url, "SELECT count(*) FROM kept") == 2


def test_restarts_come_less_and_less_often(prepared: Path):
    backoff = Backoff(first_seconds=0.05, most_seconds=10.0)
    with EmbeddedPostgres(prepared, backoff=backoff) as server:
        waits: list[float] = []
        for _ in range(3):
            before = server.process_id
            os.kill(before, signal.SIGKILL)
            until(lambda: not server.check())
            ended = time.monotonic()
            until(lambda before=before: server.check() and server.process_id != before)
            waits.append(time.monotonic() - ended)
        assert waits[0] < waits[2]
        assert waits[2] >= 0.2


def test_a_session_that_outlives_postgres_does_not_block_the_next(prepared: Path):
    with EmbeddedPostgres(prepared, backoff=QUICK) as server:
        client = [wheel_binaries().folder / "psql", server.url, "-qc", "SELECT count(*) FROM generate_series(1, 1e12)"]
        with subprocess.Popen(client, stderr=subprocess.DEVNULL) as busy:
            until(lambda: _busy(server.url))
            os.kill(server.process_id, signal.SIGKILL)
            until(lambda: not server.check())
            until(server.check)
            until(lambda: _answers(server.url))
            busy.wait(20)
        assert kept(server) == 42


def _answers(url: str) -> bool:
    try:
        return ask(url, "SELECT 1") == 1
    except (OSError, asyncpg.PostgresError):
        return False


def _busy(url: str) -> bool:
    return bool(
        ask(
            url,
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 1e12)' AND state = 'active'",
        )
    )


@pytest.mark.parametrize("whose", ["nobody's", "ours", "another program's", "a zombie's"])
def test_a_stale_pid_file_is_removed(prepared: Path, whose: str):
    with _process(whose) as number:
        pid_file = prepared / "postgres" / "postmaster.pid"
        pid_file.write_text(f"{number}\n{prepared / 'postgres'}\n1700000000\n5432\n/tmp\n\n  1 1\nready   \n")
        with EmbeddedPostgres(prepared) as server:
            assert kept(server) == 42
        if whose == "another program's":
            assert psutil.Process(number).status() != psutil.STATUS_ZOMBIE


@contextmanager
def _process(whose: str) -> Iterator[int]:
    if whose == "ours":
        yield os.getpid()
        return
    with subprocess.Popen(["sleep", "60"]) as other:
        if whose != "another program's":
            other.kill()
        if whose == "nobody's":
            other.wait()
        elif whose == "a zombie's":
            until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE)
        yield other.pid
        other.kill()


def test_a_second_process_is_refused_and_told_what_to_do(prepared: Path):
    with owner(prepared) as (process, url, _):
        with pytest.raises(DataFolderInUse) as refused:
            EmbeddedPostgres(prepared).start()
        for words in (str(process.pid), url, "--data-dir", "DATABASE_URL"):
            assert words in refused.value.message
        assert ask(url, "SELECT answer FROM kept") == 42
        process.terminate()
        process.wait()


def test_two_starts_at_once_make_one_owner(folder: Path):
    command = [sys.executable, "-c", OWNER, folder]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        until(lambda: any(start.poll() is not None for start in starts))
        refused = next(start for start in starts if start.poll() is not None)
        assert "in use by another Winnow" in refused.stderr.read()
        winner = next(start for start in starts if start is not refused)
        assert ask(winner.stdout.readline().split()[0], "SELECT 1") == 1
    finally:
        for start in starts:
            start.terminate()
            start.communicate(timeout=20)


def test_a_command_shares_what_another_process_runs(prepared: Path):
    with owner(prepared) as (_, url, _), shared_postgres(prepared) as shared:
        assert shared == url
    until(lambda: not processes_on(prepared / "postgres"))
    with shared_postgres(prepared) as own:
        assert ask(own, "SELECT answer FROM kept") == 42


def test_a_wrong_major_version_is_refused_and_nothing_is_changed(prepared: Path):
    version = prepared / "postgres" / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(IncompatibleVersion, match=r"PostgreSQL 15.*PostgreSQL 18.*pg_dump"):
        EmbeddedPostgres(prepared).start()
    assert version.read_text() == "15\n"
    version.write_text("18\n")
    with EmbeddedPostgres(prepared) as server:  # the refusal also gave the folder free
        assert kept(server) == 42


@pytest.mark.skipif(not POSTGRESQL_15.postgres.exists(), reason="Debian's PostgreSQL 15 is not installed")
def test_data_of_a_real_older_server_is_refused():
    with tempfile.TemporaryDirectory(
        prefix="winnow-old-"
    ) as name:  # 15 needs an open way to its data: see Cluster.data
        Path(name).chmod(0o711)
        with EmbeddedPostgres(Path(name) / "data", binaries=POSTGRESQL_15, durable=False) as server:
            assert str(ask(server.url, "SHOW server_version")).startswith("15")
        with pytest.raises(IncompatibleVersion, match="15"):
            EmbeddedPostgres(Path(name) / "data").start()


def test_an_unreadable_version_is_refused(prepared: Path):
    (prepared / "postgres" / "PG_VERSION").write_text("eighteen")
    with pytest.raises(DataFolderUnusable, match="backup"):
        EmbeddedPostgres(prepared).start()


def test_a_start_that_was_killed_half_way_leaves_nothing_in_the_way(folder: Path):
    half = folder / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder) as server:
        assert ask(server.url, "SELECT 1") == 1
    assert not half.exists()


def test_a_postgres_that_cannot_start_says_why(prepared: Path):
    (prepared / "postgres" / "local.conf").write_text("no_such_setting = 'on'\n")
    with pytest.raises(DatabaseUnavailable, match="no_such_setting"):
        EmbeddedPostgres(prepared).start()
    (prepared / "postgres" / "local.conf").write_text("work_mem = '8MB'\n")
    with EmbeddedPostgres(prepared) as server:
        assert ask(server.url, "SHOW work_mem") == "8MB"  # an operator's own settings win


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderUnusable, match="--data-dir"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_a_folder_in_tmp_made_by_somebody_else_is_not_used(folder: Path):
    with EmbeddedPostgres(folder) as server:
        usual = Path(server.url.split("host=")[1])
    if usual.is_relative_to(folder):
        pytest.skip("the socket lies in the data folder itself here")
    usual.mkdir(mode=0o777)
    usual.chmod(0o777)
    try:
        with EmbeddedPostgres(folder) as server:
            assert Path(server.url.split("host=")[1]) != usual
            assert ask(server.url, "SELECT 1") == 1
    finally:
        shutil.rmtree(usual)


# ------------------------------------------------------------------------------------------------ whom it runs as


@pytest.mark.skipif(not IS_ROOT, reason="only root hands PostgreSQL to another user")
def test_root_hands_postgres_to_another_user_and_touches_no_parent(prepared: Path):
    before = {parent: parent.stat().st_mode for parent in prepared.parents}
    with EmbeddedPostgres(prepared) as server:
        assert psutil.Process(server.process_id).uids().effective != 0
        assert (prepared / "postgres").stat().st_uid == psutil.Process(server.process_id).uids().effective
        assert kept(server) == 42
    assert {parent: parent.stat().st_mode for parent in prepared.parents} == before


@pytest.mark.skipif(not IS_ROOT, reason="only root can make a folder closed to the other user")
def test_root_keeps_data_below_a_closed_folder(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "data") as server:
        assert ask(server.url, "SELECT 1") == 1
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not IS_ROOT, reason="only root can make programs closed to the other user")
def test_root_copies_programs_that_the_other_user_cannot_read(tmp_path: Path):
    wheel = wheel_binaries()
    closed = tmp_path / "closed" / "site-packages"
    closed.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    package = wheel.folder.parents[1]
    for part in (package.name + "/" + wheel.folder.parent.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / part, closed / part)
    binaries = Binaries(closed / package.name / wheel.folder.parent.name / "bin")
    with EmbeddedPostgres(tmp_path / "data", binaries=binaries) as server:
        program = Path(f"/proc/{server.process_id}/exe").resolve()
        assert not program.is_relative_to(closed)
        assert ask(server.url, "SELECT 1") == 1


def _as_another(account: Account, interpreter: str, folder: Path, answers: "multiprocessing.Queue[str]") -> None:
    os.setgroups([])
    os.setgid(account.group)
    os.setuid(account.user)
    sys.executable = interpreter  # the tests' own may lie in root's home
    try:
        with EmbeddedPostgres(folder) as server:
            answers.put(json.dumps([psutil.Process(server.process_id).uids().effective, ask(server.url, "SELECT 1")]))
    except Exception:  # noqa: BLE001  # told to the test, which fails
        answers.put(json.dumps(traceback.format_exc()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not IS_ROOT, reason="the whole suite runs as another user already")
def test_another_user_than_root_runs_it_as_itself(tmp_path: Path):
    account = database_account(tmp_path / "none")
    interpreter = next(
        (path for path in ("/usr/bin/python3", sys.executable) if account.can_reach(Path(path).resolve())), None
    )
    if interpreter is None or not account.can_reach(wheel_binaries().folder):
        pytest.skip("no interpreter or no PostgreSQL here that another user could run")
    folder = Path(f"/tmp/winnow-other-{os.getpid()}")
    folder.mkdir(mode=0o700)
    os.chown(folder, account.user, account.group)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_as_another, args=(account, interpreter, folder / "data", answers))
    process.start()
    try:
        assert json.loads(answers.get(timeout=60)) == [account.user, 1]
        process.join(30)
        with EmbeddedPostgres(folder / "data") as server:
            assert psutil.Process(server.process_id).uids().effective == account.user  # root leaves data its owner
    finally:
        shutil.rmtree(folder)
