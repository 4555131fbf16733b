import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.errors import DataFolderUnusable
from app.runtime.processes import Account, Backoff, WatchedChild, start_child, stop_child

STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def child(*program: str, **options) -> subprocess.Popen[bytes]:
    return start_child(program, end_signal=signal.SIGTERM, environment={"PATH": os.defpath}, **options)


def test_a_child_is_the_program_itself_in_a_session_of_its_own(tmp_path: Path):
    with (tmp_path / "out").open("wb") as output:
        started = child("/bin/sh", "-c", "echo $$ $PWD $HOME", folder=tmp_path, output=output)
        assert started.wait(10) == 0
    number, folder, *rest = (tmp_path / "out").read_text().split()
    assert int(number) == started.pid
    assert Path(folder) == tmp_path.resolve()
    assert rest == []  # nothing of our environment but what was given
    sleeping = child("/bin/sleep", "60")
    until(lambda: psutil.Process(sleeping.pid).name() == "sleep")
    assert os.getsid(sleeping.pid) == sleeping.pid
    stop_child(sleeping, [(signal.SIGTERM, 10)])


def test_children_are_started_from_the_main_thread_alone():
    refusals: list[str] = []

    def start() -> None:
        try:
            child("/bin/true")
        except RuntimeError as error:
            refusals.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in refusals[0]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent is gone")
def test_a_child_ends_with_its_killed_parent():
    script = (
        "import signal, time\nfrom app.runtime.processes import start_child\n"
        "child = start_child(['/bin/sleep', '60'], end_signal=signal.SIGTERM, environment={})\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        orphan = psutil.Process(int(parent.stdout.readline()))
        until(lambda: orphan.name() == "sleep")
        parent.kill()
    until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)


def test_a_child_that_will_not_go_is_killed(tmp_path: Path):
    with (tmp_path / "out").open("wb") as output:
        stubborn = child(sys.executable, "-c", STUBBORN, output=output)
        until(lambda: (tmp_path / "out").read_text() == "up\n")
        assert stop_child(stubborn, [(signal.SIGTERM, 0.1)]) == -signal.SIGKILL


def test_stopping_what_has_ended_gives_its_exit_code():
    ended = child("/bin/sh", "-c", "exit 7")
    until(lambda: ended.poll() is not None)
    assert stop_child(ended, [(signal.SIGTERM, 5)]) == 7


def test_waits_double_up_to_a_bound_and_start_anew_after_a_quiet_while():
    backoff = Backoff(first_seconds=1, most_seconds=5, quiet_seconds=60)
    assert [backoff.next_wait(now) for now in (0, 1, 3, 7, 12)] == [1, 2, 4, 5, 5]
    assert backoff.next_wait(12 + 66) == 1


def test_what_was_broken_for_long_is_tried_within_seconds_of_its_mending():
    backoff = Backoff()
    assert max(backoff.next_wait(float(now)) for now in range(0, 600, 5)) <= 5


def test_a_watched_child_is_started_again_until_stopped():
    starts: list[int] = []

    def start() -> subprocess.Popen[bytes]:
        started = child("/bin/sleep", "60")
        starts.append(started.pid)
        return started

    watched = WatchedChild("sleep", start, stopping=[(signal.SIGTERM, 10)], backoff=Backoff(first_seconds=0.05))
    assert watched.check()
    os.kill(watched.process_id, signal.SIGKILL)
    until(lambda: watched.exit_code == -signal.SIGKILL)
    assert not watched.check()  # noticed, and waiting
    assert len(starts) == 1
    until(watched.check)
    assert len(starts) == 2
    assert watched.process_id == starts[1]
    assert watched.stop() == -signal.SIGTERM


@pytest.mark.parametrize(
    ("mode", "user", "group", "may"),
    [(0o700, 0, 0, True), (0o700, 4242, 4242, False), (0o711, 4242, 4242, True), (0o710, 4242, os.getgid(), True)],
)
def test_who_can_reach_a_folder(mode: int, user: int, group: int, may: bool):
    folder = Path(f"/tmp/winnow-reach-{os.getpid()}")
    folder.mkdir()
    folder.chmod(mode)
    try:
        assert Account(user=user, group=group, name="somebody").can_reach(folder / "file") is may
    finally:
        folder.rmdir()


@pytest.mark.parametrize("failure", [OSError("No space left on device"), DataFolderUnusable("It is in use: wait.")])
def test_a_start_that_fails_is_tried_again(failure: Exception):
    failures, starts = [failure, failure], []

    def start() -> subprocess.Popen[bytes]:
        if starts and failures:
            raise failures.pop()
        starts.append(child("/bin/sleep", "60"))
        return starts[-1]

    watched = WatchedChild("sleep", start, stopping=[(signal.SIGTERM, 10)], backoff=Backoff(first_seconds=0.01))
    starts[0].kill()
    until(lambda: watched.check() and len(starts) == 2)
    assert failures == []
    watched.stop()
