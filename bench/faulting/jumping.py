"""Jumps of the clock: hours, days, a change of daylight saving time, back and forth, with the senders' and without."""

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from bench.faulting.clocks import OFFSET
from bench.faulting.scene import Fault, Scene
from bench.faulting.sending import HEADERS
from bench.faulting.working import job_is, train

JUMP_SECONDS = 4.0
HOUR = 3600.0
SPRING, AUTUMN = datetime(2026, 3, 29, 0, 59, 57, tzinfo=UTC), datetime(2026, 10, 25, 0, 59, 57, tzinfo=UTC)
"""Three seconds before the clocks of Paris go forward, and back."""
SEND_TIME = '{ user(id: "user-7") { sendTime { hour timezone evidence } } }'
FILE = Path(tempfile.gettempdir()) / f"winnow-clock-{os.getpid()}"


def moved() -> datetime:
    """Return the moved time, for senders whose clock jumps along."""
    return datetime.now(UTC) + timedelta(seconds=float(FILE.read_text()))


def move(seconds: float) -> None:
    """Move the clock, at once for all who read it."""
    new = FILE.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(FILE)


def to(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


async def jump(scene: Scene) -> float:
    """Jump forward and back by hours and days, over both changes of daylight saving time, and home again."""
    await scene.senders.burst(30_000, spread=timedelta(days=60))
    job_id = await train(scene, "SEND_TIME")
    done = await job_is(scene, job_id, lambda row: row["status"] not in ("QUEUED", "RUNNING"), 60)
    scene.require(done, "training did not end")
    hours = []
    jumps = [HOUR, -HOUR, 26 * HOUR, -50 * HOUR, 40 * 24 * HOUR, to(SPRING), to(AUTUMN), 0.0]
    async with httpx.AsyncClient(base_url=scene.winnow.address, headers=HEADERS, timeout=30) as client:
        for seconds in jumps:
            move(seconds)
            await asyncio.sleep(JUMP_SECONDS)
            answer = (await client.post("/graphql", json={"query": SEND_TIME})).json()
            scene.require("errors" not in answer, f"after a jump to {seconds:.0f} s: {answer.get('errors')}")
            if "errors" not in answer:
                hours.append(answer["data"]["user"]["sendTime"]["hour"])
    scene.notes.append(f"{len(jumps)} jumps; an hour to send at was advised after each: {hours}")
    return time.monotonic()


move(0.0)
_SETTINGS = {OFFSET: str(FILE)}
_SPREAD = timedelta(hours=3)

FAULTS = (
    Fault(
        name="clocks jump, senders' too",
        happen=jump,
        module="bench.faulting.clocks",
        settings=_SETTINGS,
        now=moved,
        spread=_SPREAD,
    ),
    Fault(
        name="server's clock jumps alone",
        happen=jump,
        module="bench.faulting.clocks",
        settings=_SETTINGS,
        spread=_SPREAD,
    ),
)
