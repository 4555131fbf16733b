"""Lists that can grow: Relay connections."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import strawberry
from msgspec import Struct

from app.errors import InvalidInput
from app.store.campaigns import Page
from graph.context import Context
from graph.fields import loads, reading, related

MAX_PAGE = 100

type Count = Callable[[Context, Sequence[Any]], Awaitable[Mapping[Any, int]]]


class Listing[Row](Struct, frozen=True, gc=False, kw_only=True):
    """A page of a list, and how to learn the whole list's length: `count` of many `of` at once."""

    page: Page[Row]
    count: Count
    of: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a page and the cursor after which the list goes on."""

    cursor: str
    row: Any


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Relay's page information."""

    has_next_page: bool = reading("Whether more follow this page.", lambda page: page.has_next)
    has_previous_page: bool = reading("Whether some come before this page.", lambda page: page.has_previous)
    start_cursor: str | None = reading(
        "Cursor of the page's first entry; null when the page is empty.",
        lambda page: page.cursors[0] if page.cursors else None,
    )
    end_cursor: str | None = reading(
        "Cursor of the page's last entry, to be given as `after`; null when the page is empty.",
        lambda page: page.cursors[-1] if page.cursors else None,
    )


@strawberry.type(description="An entry of a page.")
class Edge[Node]:
    """Relay's edge."""

    cursor: str = reading("Opaque place in the list, to be given as `after`.")
    node: Node = related("The entry itself.", through=attrgetter("row"))


@strawberry.type(description="One page of a list.")
class Connection[Node]:
    """Relay's connection."""

    edges: list[Edge[Node]] = related(
        "The page's entries, each with its cursor.",
        through=lambda listing: [Entry(*pair) for pair in zip(listing.page.cursors, listing.page.rows, strict=True)],
    )
    nodes: list[Node] = related("The page's entries.", through=lambda listing: list(listing.page.rows))
    page_info: PageInfo = reading("Where the page lies in the list.", attrgetter("page"))
    total_count: int = related("How many entries the whole list has.")


@loads(Connection, "total_count")
async def total_counts(context: Context, listings: Sequence[Listing[Any]]) -> list[int]:
    """Count the lists: all of one call are counted in the same way."""
    counts = await listings[0].count(context, [listing.of for listing in listings])
    return [counts.get(listing.of, 0) for listing in listings]


def checked_first(first: int) -> int:
    """Return the number of entries asked for; raise InvalidInput unless it is from 1 to 100."""
    if not 1 <= first <= MAX_PAGE:
        raise InvalidInput(
            f"`first` must be from 1 to {MAX_PAGE}, not {first}: ask for less, and page with `after`.", path=("first",)
        )
    return first
