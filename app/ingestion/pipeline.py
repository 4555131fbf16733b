"""The steps an event passes: decode (in batches.py), check, resolve, store. Each drops what it must, with a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import cast

from asyncpg.pgproto.pgproto import UUID

from app.ingestion.batches import DecidedEvent, Incoming, IncomingEvent
from app.ingestion.checking import LATEST_AHEAD, check, to_micros, to_properties
from app.ingestion.counters import count, count_commit
from app.ingestion.exposures import Deciding, Undecided, decide_exposures
from app.ingestion.fitting import append_fitting
from app.ingestion.references import KnownUsers, References, find_references, unknown_user
from app.ingestion.rejections import DropReason, Receipt, Rejected, Rejection
from app.ingestion.writer import GroupCommit
from app.runtime.broadcast import Broadcast
from app.runtime.clock import Clock
from app.store.events import Appended, EventDraft, EventStore
from app.store.models.codes import Channel, EventType
from app.store.notifications import CAMPAIGN_TOTALS, TEST_TOTALS

_TYPES = {kind.name: int(kind) for kind in EventType}
_CHANNELS: dict[str | None, int] = {channel.name: int(channel) for channel in Channel} | {None: 0}


@dataclass(slots=True)
class Request:
    """The events of one request on their way: those still wanted, by place, and those dropped."""

    events: dict[int, IncomingEvent]
    rejected: list[Rejected] = field(default_factory=list[Rejected])

    def drop(self, index: int, rejection: Rejection) -> None:
        """Refuse the event at a place."""
        del self.events[index]
        self.rejected.append(Rejected(index, rejection))


class Ingestion:
    """Records events: once by the sender's id, durably, with the totals that count them.

    `broadcast` is told whose totals changed; `deciding` chooses for exposures that name no variant, which are else
    refused.
    """

    def __init__(
        self, store: EventStore, clock: Clock, *, broadcast: Broadcast | None = None, deciding: Deciding | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._broadcast = broadcast
        self._deciding = deciding
        self._users = KnownUsers(store)
        self._writer = GroupCommit(self._store_merged)

    def admit(self) -> None:
        """Raise RateLimited where so much waits to be stored that more should come later."""
        self._writer.admit()

    async def record(self, events: Sequence[Incoming]) -> Receipt:
        """Store events and return what became of them; what was accepted is durable then.

        Events come from `batches`, which has checked their shape; what it refused is passed on into the receipt.
        """
        request = self._check(events)
        receipt = await self._writer.submit(request, size=len(request.events)) if request.events else _receipt(request)
        count(receipt)
        return receipt

    async def drain(self) -> None:
        """Wait until everything on its way is stored."""
        await self._writer.drain()

    def _check(self, events: Sequence[Incoming]) -> Request:
        latest = self._clock.now() + LATEST_AHEAD
        request = Request({}, [])
        for index, event in enumerate(events):
            fault = event if isinstance(event, Rejection) else check(event, latest=latest)
            if fault is None:
                request.events[index] = cast("IncomingEvent", event)
            else:
                request.rejected.append(Rejected(index, fault))
        return request

    async def _store_merged(self, requests: Sequence[Request]) -> list[Receipt]:
        references, users = await self._resolve(requests)
        merged = Merged(references, users)
        for request in requests:
            merged.add(request)
        appended, full = await append_fitting(self._store, merged.drafts)
        count_commit(len(merged.drafts))
        await self._announce(appended)
        return [merged.receipt(number, appended, full) for number in range(len(requests))]

    async def _announce(self, appended: Appended) -> None:
        if self._broadcast is None:
            return
        for topic, ids in ((TEST_TOTALS, appended.tests), (CAMPAIGN_TOTALS, appended.campaigns)):
            if ids:
                await self._broadcast.publish(topic, map(str, ids))

    async def _resolve(self, requests: Sequence[Request]) -> tuple[References, Mapping[str, int]]:
        references = await find_references(self._store, [event for r in requests for event in r.events.values()])
        for request in requests:
            if not references.complete:
                _drop_faults(request, references)
            await self._decide(request, references)
        wanted = {event.user_id for r in requests for event in r.events.values()}
        users = await self._users.find(wanted)
        if not wanted <= users.keys():
            for request in requests:
                _drop_unknown_users(request, users)
        return references, users

    async def _decide(self, request: Request, references: References) -> None:
        if not any(event.type == "EXPOSED" for event in request.events.values()):
            return
        decided = await decide_exposures(request.events, references.tests, self._deciding or Undecided())
        for index, event in decided.items():
            if isinstance(event, Rejection):
                request.drop(index, event)
            else:
                request.events[index] = event


class Merged:
    """Rows to be stored in one transaction, and whose they are."""

    def __init__(self, references: References, users: Mapping[str, int]) -> None:
        self.drafts: list[EventDraft] = []
        self._references = references
        self._users = users
        self._campaigns: dict[str | None, tuple[int | None, int | None, int | None]] = {None: (None, None, None)}
        for name, found in references.campaigns.items():
            self._campaigns[name] = (found.id, found.merchant_id, found.offer_micros)
        self._seen: set[object] = set()
        self._requests: list[tuple[Request, slice, int]] = []

    def add(self, request: Request) -> None:
        """Append a request's events; an id that came before is a duplicate."""
        start = len(self.drafts)
        events = {event_key(event.id): event for event in reversed(request.events.values())}  # of two, the first
        new = [(key, event) for key, event in reversed(events.items()) if key not in self._seen]
        self._seen.update(events)
        self.drafts += [self._draft(key, event) for key, event in new]
        self._requests.append((request, slice(start, len(self.drafts)), len(request.events) - len(new)))

    def receipt(self, number: int, appended: Appended, full: set[object]) -> Receipt:
        """Return a request's receipt, given what came of storing its events, and which had no room."""
        request, stored, repeated = self._requests[number]
        drafts = self.drafts[stored]
        if (first := appended.kept_from) is not None:
            _drop_old(request, first)
            drafts = [draft for draft in drafts if cast("datetime", draft[1]) >= first]
            repeated = len(request.events) - len(drafts)
        if full:
            _drop_full(request, full)
            drafts = [draft for draft in drafts if draft[0] not in full]
            repeated = len(request.events) - len(drafts)
        known = sum(draft[0] in appended.duplicates for draft in drafts) if appended.duplicates else 0
        return _receipt(request, accepted=len(drafts) - known, duplicates=repeated + known)

    def _draft(self, key: object, event: IncomingEvent) -> EventDraft:
        campaign, merchant, offer = self._campaigns[event.campaign_id]
        offered = event.offer_amount
        test = None if event.test_id is None else self._references.tests[event.test_id]
        at = event.occurred_at
        return (
            key,
            at if at.tzinfo is UTC else at.astimezone(UTC),
            self._users[event.user_id],
            campaign,
            merchant,
            test,
            None if test is None else self._references.variants.get((test, event.variant_key or "")),
            None if event.value is None else to_micros(event.value),
            None if event.cost is None else to_micros(event.cost),
            offer if offered is None else to_micros(offered),
            event.probability,
            event.latitude,
            event.longitude,
            _TYPES[event.type],
            _CHANNELS[event.channel],
            event.id,
            None if event.properties is None else to_properties(event.properties),
            event.policy_version,
            event.probabilities if isinstance(event, DecidedEvent) else None,
        )


def event_key(event_id: str) -> object:
    """Return the 128-bit digest by which the sender's id is known."""
    return UUID(blake2b(event_id.encode(), digest_size=16).digest())


def _drop_faults(request: Request, references: References) -> None:
    for index, event in list(request.events.items()):
        if (event.campaign_id is not None or event.test_id is not None) and (fault := references.fault(event)):
            request.drop(index, fault)


def _drop_old(request: Request, first: datetime) -> None:
    message = f"Events from before {first:%Y-%m-%d} are no longer kept, and are not taken in any more: leave them out."
    for index, event in list(request.events.items()):
        if event.occurred_at < first:
            request.drop(index, Rejection(DropReason.NO_LONGER_KEPT, message, "occurredAt", event.id))


def _drop_full(request: Request, full: set[object]) -> None:
    message = (
        "Its amount has no room: the sums of its campaign, merchant or unit end at 9,223,372,036,854 units of money. "
        "See that amounts are sent in units of the campaign's currency, not in parts of them."
    )
    for index, event in list(request.events.items()):
        if event_key(event.id) in full:
            request.drop(index, Rejection(DropReason.TOTAL_FULL, message, "value", event.id))


def _drop_unknown_users(request: Request, users: Mapping[str, int]) -> None:
    unknown = [index for index, event in request.events.items() if event.user_id not in users]
    for index in unknown:
        request.drop(index, unknown_user(request.events[index]))


def _receipt(request: Request, *, accepted: int = 0, duplicates: int = 0) -> Receipt:
    return Receipt(accepted, duplicates, tuple(sorted(request.rejected, key=lambda rejected: rejected.index)))
