"""Processes that are killed, stopped, restarted, and started twice."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from bench.faulting.running import ROOT
from bench.faulting.scene import Fault, Scene

STOPPED_SECONDS = 20.0


async def until(true: Callable[[], object], seconds: float = 20.0) -> bool:
    """Wait until something is so; return whether it came to be in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def kill_web(scene: Scene) -> float:
    """Kill one web process, of as many as there are."""
    web = scene.winnow.web()
    web[0].kill()
    over = time.monotonic()
    numbers = {process.pid for process in web}
    replaced = await until(lambda: len(_serving(scene) - (numbers - {web[0].pid})) == 1)
    scene.require(replaced, "the web process was not started again")
    scene.notes.append(f"another process after {time.monotonic() - over:.1f} s")
    return over


def _serving(scene: Scene) -> set[int]:
    with suppress(psutil.Error):
        return {process.pid for process in scene.winnow.web() if process.status() != psutil.STATUS_ZOMBIE}
    return set()


async def kill_backend(scene: Scene) -> float:
    """Kill one of the server's connections; PostgreSQL then ends all, and recovers."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'winnow' ORDER BY pid"
    rows = await scene.fetch(query)
    os.kill(random.choice(rows)["pid"], signal.SIGKILL)
    return time.monotonic()


def signalling(number: signal.Signals) -> Callable[[Scene], object]:
    """Send a signal to PostgreSQL's first process: SIGKILL, SIGINT (fast), SIGQUIT (immediate)."""

    async def happen(scene: Scene) -> float:
        before = scene.winnow.postgres()
        before.send_signal(number)
        over = time.monotonic()
        scene.require(await until(lambda: postmaster(scene) not in (None, before.pid)), "PostgreSQL was not restarted")
        scene.notes.append(f"another PostgreSQL after {time.monotonic() - over:.1f} s")
        return over

    return happen


def postmaster(scene: Scene) -> int | None:
    """Return the number of PostgreSQL's first process, None where there is none."""
    with suppress(StopIteration, psutil.Error):
        return scene.winnow.postgres().pid
    return None


async def stop_postgres(scene: Scene) -> float:
    """Stop all of PostgreSQL's processes for a while, without their knowing."""
    processes = scene.winnow.postgres_all()
    for process in processes:
        process.suspend()
    await asyncio.sleep(STOPPED_SECONDS)
    for process in processes:
        with suppress(psutil.Error):
            process.resume()
    return time.monotonic()


async def terminate(scene: Scene) -> float:
    """Stop the server in order, look, and start it again."""
    process = scene.winnow.process
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    code = await asyncio.to_thread(process.wait, 40)
    scene.require(code == 0, f"it ended with {code}")
    scene.require(not [one for one in family if one.is_running()], "processes were left behind")
    began = time.monotonic()
    await asyncio.to_thread(scene.winnow.start)
    scene.notes.append(f"started in {time.monotonic() - began:.1f} s")
    return began


async def kill_command(scene: Scene) -> float:
    """Kill the command itself, which takes all its processes along, and start it again, as systemd does."""
    scene.winnow.process.kill()
    await asyncio.to_thread(scene.winnow.process.wait)
    began = time.monotonic()
    await asyncio.to_thread(scene.winnow.start)
    scene.notes.append(f"started in {time.monotonic() - began:.1f} s")
    return began


async def start_another(scene: Scene) -> float:
    """Start a second server on the same data folder: it is refused, and the first one does not notice."""
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]
    second = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=scene.winnow.environment, capture_output=True, text=True, check=False
    )
    scene.require(second.returncode == 1, f"the second one ended with {second.returncode}")
    scene.require("in use by another Winnow" in second.stderr, f"the second one said {second.stderr[-200:]}")
    scene.require(not scene.diary.errors(), f"the first one noticed: {scene.diary.errors()}")
    return time.monotonic()


FAULTS = (
    Fault(name="web process killed", happen=kill_web),
    Fault(name="web process killed, of two", happen=kill_web, workers=2),
    Fault(name="serve itself killed", happen=kill_command),
    Fault(name="SIGTERM under load", happen=terminate),
    Fault(name="two on one data folder", happen=start_another, embedded_only=True),
    Fault(name="connection killed", happen=kill_backend),
    Fault(name="PostgreSQL killed", happen=signalling(signal.SIGKILL)),
    Fault(name="PostgreSQL restarted, fast", happen=signalling(signal.SIGINT)),
    Fault(name="PostgreSQL restarted, immediate", happen=signalling(signal.SIGQUIT)),
    Fault(name="PostgreSQL stopped for 20 s", happen=stop_postgres),
)
