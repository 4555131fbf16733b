"""Events whose amounts no total has room for: found by halving, so that all others are stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.store.events import Appended, EventDraft, EventStore, TotalsFull

MOST_FOUND = 16
"""Events that are looked for one by one; where more are in the way, halves are refused that hold others too."""


@dataclass(slots=True)
class Fitted:
    """What was stored, and the keys of the events that were not as they have no room."""

    duplicates: set[object] = field(default_factory=set[object])
    tests: set[int] = field(default_factory=set[int])
    campaigns: set[int] = field(default_factory=set[int])
    full: set[object] = field(default_factory=set[object])

    def add(self, appended: Appended) -> None:
        """Add what came of storing some events."""
        self.duplicates |= appended.duplicates
        self.tests |= appended.tests
        self.campaigns |= appended.campaigns


async def append_fitting(store: EventStore, drafts: Sequence[EventDraft]) -> tuple[Appended, set[object]]:
    """Store events; return what came of it, and the keys of those that no total has room for."""
    try:
        return await store.append(drafts), set()
    except TotalsFull:
        return await _append_halves(store, drafts)


async def _append_halves(store: EventStore, drafts: Sequence[EventDraft]) -> tuple[Appended, set[object]]:
    fitted, kept_from = Fitted(), None
    parts = _halves(drafts)
    while parts:
        part = parts.pop()
        try:
            appended = await store.append(part)
        except TotalsFull:
            if len(part) > 1 and len(fitted.full) < MOST_FOUND:
                parts += _halves(part)
            else:
                fitted.full.update(draft[0] for draft in part)
        else:
            fitted.add(appended)
            kept_from = appended.kept_from or kept_from
    return Appended(fitted.duplicates, fitted.tests, fitted.campaigns, kept_from), fitted.full


def _halves(drafts: Sequence[EventDraft]) -> list[Sequence[EventDraft]]:
    """Return both halves, the first one last: it is stored first, as without halving."""
    middle = len(drafts) // 2
    return [drafts[middle:], drafts[:middle]] if middle else [drafts]
