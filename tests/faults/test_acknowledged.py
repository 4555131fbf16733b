"""What was acknowledged stays, once, with its totals, whatever is killed meanwhile: the bench of faults in short."""

import asyncio
import signal

from bench.faulting.killing import kill_backend, kill_web, signalling, terminate
from bench.faulting.running import Variant, original
from bench.faulting.scene import Fault, Scene, play

PAUSE_SECONDS = 1.0


async def one_after_the_other(scene: Scene) -> float:
    over = 0.0
    for happen in (kill_web, kill_backend, signalling(signal.SIGKILL), terminate):
        over = await happen(scene)
        await asyncio.sleep(PAUSE_SECONDS)
    return over


def test_nothing_acknowledged_is_lost_or_counted_twice_under_faults():
    fault = Fault(name="all in a row", happen=one_after_the_other, workers=2, warm_seconds=2.0, after_seconds=3.0)
    variant = Variant()
    with original(variant) as made:
        outcome = asyncio.run(play(fault, made, variant, seed=1))
    judged = outcome.judgement
    assert judged.acknowledged == judged.made > 100
    assert (judged.lost, judged.twice, judged.differing) == (0, 0, ())
    assert outcome.undelivered == 0
    assert outcome.sent_again > 0  # or nothing was broken
    assert outcome.unclear == {}
    assert outcome.broken == ()
    assert None not in outcome.back.values(), outcome.back
