"""The kinds of background work. A task may be run again from its beginning: what it did before it does not do twice."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.abtests.reallocating import Reallocating

REALLOCATE = "reallocate"

type Told = Callable[[float, str], Awaitable[object]]
"""Told how far a task is, a fraction, and in words; ends the task where somebody cancelled it."""
type Task = Callable[[Mapping[str, Any], Told], Awaitable[Mapping[str, Any] | None]]
"""Does the work that its arguments name, and returns what is worth keeping of it."""


def tasks(*, reallocating: Reallocating) -> dict[str, Task]:
    """Return the tasks by kind."""

    async def reallocate(_arguments: Mapping[str, Any], told: Told) -> Mapping[str, Any]:
        return {"tests": await reallocating.reallocate_due(told=told)}

    return {REALLOCATE: reallocate}
