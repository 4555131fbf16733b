"""What can be exported of a test, and under which name."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.errors import NotFound, RateLimited
from app.exporting.writing import FileFormat, write
from app.store.abtest_rows import TestDefinition
from app.store.abtests import TestStore
from app.store.exports import ASSIGNMENTS, EXPOSURES, ExportStore, Listing

AT_ONCE = 2
"""Files that one process writes at the same time: each holds a connection for as long as its reader takes."""

RETRY_AFTER_SECONDS = 10.0
KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
OPAQUE = re.compile(r"tst_([1-9][0-9]{0,17})")


class What(StrEnum):
    """What of a test is written."""

    ASSIGNMENTS = "assignments"
    EXPOSURES = "exposures"
    RESULTS = "results"


LISTINGS: Mapping[What, Listing] = {What.ASSIGNMENTS: ASSIGNMENTS, What.EXPOSURES: EXPOSURES}
_ESTIMATES = tuple(
    f"{prefix}{name}{end}"
    for prefix in ("", "sequential_")
    for name in ("difference", "lift")
    for end in ("", "_low", "_high")
)
RESULTS: Mapping[str, str] = {
    **dict.fromkeys(("test", "metric", "kind"), "text"),
    "is_guardrail": "boolean",
    "level": "number",
    "as_of": "time",
    "variant": "text",
    "is_control": "boolean",
    **dict.fromkeys(("exposed", "converted", "multiple_exposed"), "integer"),
    **dict.fromkeys(("mean", "standard_deviation", *_ESTIMATES), "number"),
    **dict.fromkeys(("p_value", "adjusted_p_value", "sequential_p_value", "sequential_adjusted_p_value"), "number"),
    **dict.fromkeys(("probability_best", "expected_loss", "credible_low", "credible_high"), "number"),
    "sample_ratio_p_value": "number",
    "verdict": "text",
    "pending": "text",
}

type Tabulate = Callable[[TestDefinition], Awaitable[Sequence[Mapping[str, Any]]]]
"""Computes a test's results as rows of RESULTS; given by whoever puts the process together."""


@dataclass(frozen=True, slots=True)
class Export:
    """A file to be: its name, how many rows it will have, and its bytes as they come."""

    name: str
    rows: int
    content: AsyncGenerator[bytes]


class TestExporting:
    """Writes files about tests."""

    __test__ = False

    def __init__(self, store: ExportStore, *, tests: TestStore, tabulate: Tabulate) -> None:
        self._store = store
        self._tests = tests
        self._tabulate = tabulate
        self._writing = 0

    async def export(self, reference: str, what: What, *, file_format: FileFormat) -> Export:
        """Begin a file about a test, by its key or id; raise NotFound where there is no such test."""
        definition = await self._definition(reference)
        name = f"{definition.test.key}-{what}.{file_format}"
        if what is What.RESULTS:
            rows = await self._tabulate(definition)
            return Export(name, len(rows), write(_one_page(rows), RESULTS, file_format=file_format))
        listing = LISTINGS[what]
        count = await self._store.count(definition.test.id, listing)
        self._admit()
        return Export(name, count, self._listed(definition.test.id, listing, file_format))

    async def _listed(self, test_id: int, listing: Listing, file_format: FileFormat) -> AsyncGenerator[bytes]:
        # closed one after another, from the inside: else whoever leaves half-way leaves a transaction behind
        async with (
            self._one_more(),
            aclosing(self._store.pages(test_id, listing)) as pages,
            aclosing(write(pages, listing.columns, file_format=file_format)) as parts,
        ):
            async for part in parts:
                yield part

    async def _definition(self, reference: str) -> TestDefinition:
        number = OPAQUE.fullmatch(reference)
        found = {reference: int(number[1])} if number else {}
        if not number and KEY.fullmatch(reference):
            found = await self._tests.ids_of([reference])
        test_id = found.get(reference)
        definition = None if test_id is None else (await self._tests.definitions([test_id])).get(test_id)
        if definition is None:
            raise NotFound("No test has this id or key: list the tests to find it.", path=("test",))
        return definition

    def _admit(self) -> None:
        if self._writing >= AT_ONCE:
            message = f"{AT_ONCE} files are being written: come back when one is done."
            raise RateLimited(message, retry_after=RETRY_AFTER_SECONDS)

    @asynccontextmanager
    async def _one_more(self) -> AsyncGenerator[None]:
        self._admit()
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1


async def _one_page(rows: Sequence[Mapping[str, Any]]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    yield rows
