"""What a use case may lean on, in one frozen container."""

from dataclasses import dataclass

from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock
from app.runtime.compute import Compute
from app.runtime.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Settings, clock, compute and broadcast, handed to use cases through their constructors."""

    settings: Settings
    clock: Clock
    compute: Compute
    broadcast: Broadcast
