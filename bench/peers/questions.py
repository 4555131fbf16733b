"""What each server is asked, in its own schema's words, and its answers brought into one shape to be compared.

Q1: the first 20 campaigns with their tests and variants, eight scalars or so of each, and each variant's latest totals.
Q2: one campaign with everything nested and its thirty days. Q3: the smallest operation there is.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

PAGE, TESTS = 20, 10
ALL = ("Q1", "Q2", "Q3")
ASKED_CAMPAIGNS = 2_000
"""Q2 asks about one campaign after another, so many of them."""
DIGITS = 12
"""To which two floats are to agree: nobody need add up in our order."""

MEASURES = "sent delivered opened clicked converted revenue cost conversionRate roi"
TOTALS = "exposed converted multipleExposed mean standardDeviation"
TYPENAME = "{ __typename }"


@dataclass(frozen=True, slots=True)
class Questions:
    """One server's documents, by question, how its campaign's number is given, and what its fields are called."""

    documents: Mapping[str, str]
    number: Callable[[int], object]
    names: Mapping[str, str]

    def body(self, question: str, campaign: int) -> bytes:
        """Return the request's body; each has the same form."""
        variables = {"Q1": {"first": PAGE}, "Q2": {"id": self.number(campaign)}, "Q3": {}}[question]
        return json.dumps({"query": self.documents[question], "variables": variables}).encode()

    def shape(self, answer: bytes) -> object:
        """Return the data of an answer in the common shape; raise ValueError where it has errors."""
        content = json.loads(answer)
        if content.get("errors") or not content.get("data"):
            raise ValueError(f"an answer with errors: {answer[:500]!r}")
        return shaped(content["data"], self.names)


def _winnow() -> Questions:
    campaign = "id key name status offerAmount currency budget startsAt"
    tests = f"""
        tests(first: {TESTS}) {{ nodes {{
            id key name status confidenceLevel allocationPolicy coverage startedAt WHOLE
            variants {{ id key name isControl weight payload }}
            results {{ totals {{ variant {{ id }} {TOTALS} }} }}
        }} }}
    """
    q1 = f"query ($first: Int!) {{ campaigns(first: $first) {{ nodes {{ {campaign} {tests} }} }} }}"
    q2 = f"""
        query ($id: ID!) {{ campaign(id: $id) {{
            {campaign} merchant {{ id key name category }} metrics {{ {MEASURES} }}
            trend {{ startsAt metrics {{ {MEASURES} }} }} {tests}
        }} }}
    """
    documents = {"Q1": q1.replace("WHOLE", ""), "Q2": q2.replace("WHOLE", "metric { key name kind }"), "Q3": TYPENAME}
    return Questions(documents, lambda number: f"cmp_{number}", {})


def _postgraphile() -> Questions:
    campaign = "rowId key name status offerAmount currency budget startsAt"
    tests = f"""
        abTestsByCampaignIdList(first: {TESTS}, orderBy: ROW_ID_DESC) {{
            rowId key name status confidenceLevel allocationPolicy coverage startedAt WHOLE
            abTestVariantsByTestIdList(orderBy: POSITION_ASC) {{ rowId key name isControl weight payload }}
            totalsList {{ variantId {TOTALS} }}
        }}
    """
    q1 = f"query ($first: Int!) {{ allCampaignsList(first: $first, orderBy: ROW_ID_DESC) {{ {campaign} {tests} }} }}"
    q2 = f"""
        query ($id: BigInt!) {{ campaignByRowId(rowId: $id) {{
            {campaign} merchantByMerchantId {{ rowId key name category }} metrics {{ {MEASURES} }}
            trendList(orderBy: STARTS_AT_ASC) {{ startsAt {MEASURES} }} {tests}
        }} }}
    """
    kind = "abTestMetricsByTestIdList(condition: { position: 0 }) { key name kind }"
    names = {
        "rowId": "id",
        "allCampaignsList": "campaigns",
        "campaignByRowId": "campaign",
        "abTestsByCampaignIdList": "tests",
        "abTestVariantsByTestIdList": "variants",
        "abTestMetricsByTestIdList": "metric",
        "merchantByMerchantId": "merchant",
        "totalsList": "totals",
        "trendList": "trend",
    }
    documents = {"Q1": q1.replace("WHOLE", ""), "Q2": q2.replace("WHOLE", kind), "Q3": TYPENAME}
    return Questions(documents, str, names)


def _by_hand() -> Questions:
    campaign = "id key name status offerAmount currency budget startsAt"
    tests = f"""
        tests {{
            id key name status confidenceLevel allocationPolicy coverage startedAt WHOLE
            variants {{ id key name isControl weight payload }} totals {{ variantId {TOTALS} }}
        }}
    """
    q1 = f"query ($first: Int!) {{ campaigns(first: $first) {{ {campaign} {tests} }} }}"
    q2 = f"""
        query ($id: Int!) {{ campaign(id: $id) {{
            {campaign} merchant {{ id key name category }} metrics {{ {MEASURES} }}
            trend {{ startsAt {MEASURES} }} {tests}
        }} }}
    """
    documents = {"Q1": q1.replace("WHOLE", ""), "Q2": q2.replace("WHOLE", "metric { key name kind }"), "Q3": TYPENAME}
    return Questions(documents, lambda number: number, {})


WINNOW, POSTGRAPHILE, BY_HAND = _winnow(), _postgraphile(), _by_hand()


def campaigns_asked() -> Iterator[int]:
    """Yield the campaigns that Q2 asks about, again and again: each server gets the same in the same order."""
    return (1 + 97 * n % ASKED_CAMPAIGNS for n in count())


def shaped(value: Any, names: Mapping[str, str]) -> Any:
    """Return an answer in the common shape: Winnow's field names, no connections, plain numbers, times and amounts."""
    if isinstance(value, list):
        return [shaped(item, names) for item in value]
    if isinstance(value, dict):
        return _shaped_object(value, names)
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float | int) and not isinstance(value, bool) else value


def _shaped_object(value: dict[str, Any], names: Mapping[str, str]) -> Any:
    if set(value) == {"nodes"}:
        return shaped(value["nodes"], names)
    found: dict[str, Any] = {}
    for given, item in value.items():
        name = names.get(given, given)
        found |= _flattened(name, item, names) or {name: _field(name, item, names)}
    return found


def _flattened(name: str, item: Any, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what Winnow nests a level deeper than the others: a test's totals, and a day's or a variant's own."""
    if name == "results":
        return {"totals": _field("totals", item["totals"], names)}
    if name == "variant":
        return {"variantId": _number(item["id"])}
    return None


def _field(name: str, item: Any, names: Mapping[str, str]) -> Any:
    if name in _READERS and item is not None:
        return _READERS[name](item)
    found = shaped(item, names)
    if name == "totals":
        return sorted(found, key=lambda one: one["variantId"])
    if name == "trend":
        return [{"startsAt": one["startsAt"]} | one.get("metrics", one) for one in found]
    if name == "metric" and isinstance(found, list):
        (found,) = found
    return found


def _number(value: object) -> int:
    return int(str(value).rpartition("_")[2])


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(UTC)


def _payload(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


_READERS: Mapping[str, Callable[[Any], object]] = {
    "id": _number,
    "variantId": _number,
    "startsAt": _moment,
    "startedAt": _moment,
    "payload": _payload,
    **dict.fromkeys(("offerAmount", "budget", "revenue", "cost"), Decimal),
}
