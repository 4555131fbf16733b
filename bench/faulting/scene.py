"""One fault under load: a server, senders, askers and followers, and what came of it."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from bench.faulting.asking import Askers
from bench.faulting.judging import Judgement, judge
from bench.faulting.running import Variant, Winnow, running
from bench.faulting.sending import Diary, Senders

WARM_SECONDS, AFTER_SECONDS = 4.0, 12.0
LIMIT_SECONDS = 10.0


@dataclass
class Scene:
    """What a fault may break and look at. `notes` are told beside the figures, `broken` are promises not kept."""

    winnow: Winnow
    senders: Senders
    askers: Askers
    diary: Diary
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.winnow.database_url)
        try:
            return await connection.fetch(query, *args)
        finally:
            await connection.close()

    def require(self, kept: object, promise: str) -> None:
        if not kept:
            self.broken.append(promise)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that happens to a server under load; `happen` returns when it was over, by the monotonic clock."""

    name: str
    happen: Callable[[Scene], Awaitable[float]]
    workers: int = 1
    embedded_only: bool = False
    tmpfs_megabytes: int | None = None
    module: str = "app.cli"
    settings: Mapping[str, str] = field(default_factory=dict)
    repeat: float = 0.02
    spread: timedelta = timedelta(minutes=10)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    warm_seconds: float = WARM_SECONDS
    after_seconds: float = AFTER_SECONDS


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one fault. Seconds are from its end: to the first good answer, and to the last bad one."""

    name: str
    judgement: Judgement
    undelivered: int
    back: Mapping[str, float | None]
    last_bad: float
    errors: Counter[str]
    unclear: Counter[str]
    told: Counter[str]
    log_lines: int
    tracebacks: int
    sent_again: int
    duplicates: int
    machine_load: float
    log: str
    notes: tuple[str, ...]
    broken: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """Return in words what was not as it must be."""
        judged, found = self.judgement, list(self.broken)
        found += [f"{judged.lost} lost"] if judged.lost else []
        found += [f"{judged.twice} counted twice"] if judged.twice else []
        found += judged.differing
        found += [f"{self.undelivered} requests could not be delivered"] if self.undelivered else []
        found += [
            f"{kind} back after {'more than ' if seconds is None else ''}{seconds or AFTER_SECONDS:.1f} s"
            for kind, seconds in self.back.items()
            if seconds is None or seconds > LIMIT_SECONDS
        ]
        found += [f"errors until {self.last_bad:.1f} s after"] if self.last_bad > LIMIT_SECONDS else []
        found += [f"{count} x unclear: {text}" for text, count in self.unclear.items()]
        return found


async def play(fault: Fault, made: Path, variant: Variant, *, seed: int) -> Outcome:
    """Let a fault happen to a server of its own."""
    context = running(
        made,
        variant,
        workers=fault.workers,
        module=fault.module,
        tmpfs_megabytes=fault.tmpfs_megabytes,
        settings=fault.settings,
    )
    winnow = await asyncio.to_thread(context.__enter__)
    try:
        return await _played(fault, winnow, seed=seed)
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def _played(fault: Fault, winnow: Winnow, *, seed: int) -> Outcome:
    diary = Diary()
    senders = Senders(winnow.address, diary, seed=seed, repeat=fault.repeat, spread=fault.spread, now=fault.now)
    scene = Scene(winnow, senders, Askers(winnow.address, diary), diary)
    senders.start()
    scene.askers.start()
    await asyncio.sleep(fault.warm_seconds)
    before = len(diary.attempts), diary.errors()
    said = len(winnow.log)
    over = await fault.happen(scene)
    await asyncio.sleep(max(0.0, over + fault.after_seconds - time.monotonic()))
    undelivered = await senders.finish()
    await asyncio.sleep(1.0)
    await scene.askers.stop()
    scene.require(not before[1], f"errors before the fault: {dict(before[1])}")
    rebuild = lambda: asyncio.to_thread(winnow.command_line, "rebuild-totals")
    judgement = await judge(winnow.database_url, senders.books, rebuild)
    return _outcome(fault, scene, over, judgement, undelivered, winnow.log[said:])


def _outcome(fault: Fault, scene: Scene, over: float, judgement: Judgement, undelivered: int, log: str) -> Outcome:
    diary, askers = scene.diary, scene.askers
    following = [*askers.followers, askers.streamed]
    lives = [one.live_again(over) for one in following]
    back = {
        **{kind: diary.first_good(kind, over) for kind in ("events", "query", "flags")},
        "live": None if None in lives else max(lives),
    }
    return Outcome(
        name=fault.name,
        judgement=judgement,
        undelivered=undelivered,
        back=back,
        last_bad=max(diary.last_bad(kind, over) for kind in ("events", "query", "flags")),
        errors=diary.errors(),
        unclear=diary.unclear,
        told=Counter(ending for one in following for ending in one.told),
        log_lines=log.count("\n"),
        tracebacks=log.count("Traceback (most recent call last)") + log.count('"exception":'),
        sent_again=scene.senders.books.sent_again,
        duplicates=scene.senders.books.told_duplicates,
        machine_load=os.getloadavg()[0],
        log=log,
        notes=tuple(scene.notes),
        broken=tuple(scene.broken),
    )
