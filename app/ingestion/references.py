"""What events refer to: campaigns, tests and users, found by id or key, a few statements for any number of events."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.ingestion.batches import IncomingEvent
from app.ingestion.rejections import DropReason, Rejection
from app.store.events import CampaignReference, EventStore

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
ADVICE = {
    "campaignId": "make it with createCampaign first, or leave the campaign out",
    "testId": "make it with createTest first, or leave the test out",
    "variantKey": "give the key of one of the test's variants",
    "userId": "give your own id of the user: one that is not known yet makes a user",
}
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class References:
    """What was found, by what the events call it."""

    campaigns: Mapping[str, CampaignReference]
    tests: Mapping[str, int]
    variants: Mapping[tuple[int, str], int]
    complete: bool
    """Every campaign that is named was found, and no test is named: no event has a fault."""

    def fault(self, event: IncomingEvent) -> Rejection | None:
        """Return why an event is refused: it names what does not exist."""
        if event.campaign_id is not None and event.campaign_id not in self.campaigns:
            return _unknown(event, DropReason.UNKNOWN_CAMPAIGN, "campaignId", event.campaign_id)
        if event.test_id is None:
            return None
        test = self.tests.get(event.test_id)
        if test is None:
            return _unknown(event, DropReason.UNKNOWN_TEST, "testId", event.test_id)
        if event.variant_key is not None and (test, event.variant_key) not in self.variants:
            return _unknown(event, DropReason.UNKNOWN_VARIANT, "variantKey", event.variant_key)
        return None


async def find_references(store: EventStore, events: Sequence[IncomingEvent]) -> References:
    """Look up the campaigns, tests and variants that events name."""
    campaigns = {event.campaign_id for event in events if event.campaign_id is not None}
    tests = {event.test_id for event in events if event.test_id is not None}
    found_campaigns = await _find_campaigns(store, campaigns) if campaigns else {}
    found_tests = await _find_tests(store, tests) if tests else {}
    variants = await store.variants(set(found_tests.values())) if found_tests else {}
    complete = not tests and len(found_campaigns) == len(campaigns)
    return References(found_campaigns, found_tests, variants, complete)


async def _find_campaigns(store: EventStore, names: Collection[str]) -> dict[str, CampaignReference]:
    ids, keys = split(names, prefix="cmp_")
    found = await store.campaigns(list(ids.values()), keys)
    return {name: found[key] for name, key in (*ids.items(), *zip(keys, keys, strict=True)) if key in found}


async def _find_tests(store: EventStore, names: Collection[str]) -> dict[str, int]:
    ids, keys = split(names, prefix="tst_")
    found = await store.tests(list(ids.values()), keys)
    return {name: found[key] for name, key in (*ids.items(), *zip(keys, keys, strict=True)) if key in found}


def split(names: Iterable[str], *, prefix: str) -> tuple[dict[str, int], list[str]]:
    """Return which names are opaque ids, with their numbers, and which are keys; others name nothing."""
    ids: dict[str, int] = {}
    keys: list[str] = []
    for name in names:
        number = opaque_number(name, prefix=prefix)
        if number is not None:
            ids[name] = number
        elif KEY.fullmatch(name):
            keys.append(name)
    return ids, keys


def opaque_number(name: str, *, prefix: str) -> int | None:
    """Return the number in an opaque id such as `cmp_12`, or None where it is not one."""
    digits = name.removeprefix(prefix)
    if digits == name or not (digits.isascii() and digits.isdigit()) or digits[0] == "0" or len(digits) > 19:
        return None
    return int(digits) if int(digits) <= MAX_ID else None


class KnownUsers:
    """Internal ids of users met lately, at most `limit` of them; an id never changes, so it is never stale."""

    def __init__(self, store: EventStore, *, limit: int = 200_000) -> None:
        self._store = store
        self._limit = limit
        # Two generations: the older is dropped when the younger is full. Costs less than keeping an order of use.
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    async def find(self, external_ids: Collection[str]) -> Mapping[str, int]:
        """Return the users' internal ids, making users not seen before; an opaque id of nobody is left out."""
        young = self._young
        missing = set(external_ids) - young.keys()
        if not missing:
            return young
        known = {name: self._old[name] for name in missing if name in self._old}
        found = known | await self._look_up(missing - known.keys())
        self._remember(found)
        return {name: young[name] for name in external_ids if name in young} | found

    async def _look_up(self, names: set[str]) -> dict[str, int]:
        if not names:
            return {}
        found = await self._store.users(names)
        opaque = {name: number for name in names - found.keys() if (number := opaque_number(name, prefix="usr_"))}
        if opaque:
            existing = await self._store.users_with_ids(opaque.values())
            found |= {name: number for name, number in opaque.items() if number in existing}
        new = names - found.keys() - opaque.keys()
        return found | (await self._store.make_users(new) if new else {})

    def _remember(self, found: Mapping[str, int]) -> None:
        if len(self._young) + len(found) > self._limit // 2:
            self._old, self._young = self._young, {}
        self._young.update(found)


def unknown_user(event: IncomingEvent) -> Rejection:
    """Return the rejection of an event whose user is an opaque id of nobody."""
    return _unknown(event, DropReason.UNKNOWN_USER, "userId", event.user_id)


def _unknown(event: IncomingEvent, reason: DropReason, field: str, name: str) -> Rejection:
    return Rejection(reason, f"There is no {name!r}: {ADVICE[field]}.", field, event.id)
