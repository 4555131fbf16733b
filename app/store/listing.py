"""Lists in pages: conditions of a statement, orders with their keyset, and the page made of the rows found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.errors import InvalidInput
from app.store.cursors import Cursor, Cursors, CursorValue, Page, askable
from app.store.database import Record


class Conditions:
    """Conditions of a statement, and the arguments they name."""

    def __init__(self) -> None:
        self.arguments: list[object] = []
        self._parts: list[str] = []

    def add(self, condition: str, *values: object) -> None:
        """Add a condition; each {} stands for a value."""
        first = len(self.arguments) + 1
        self._parts.append(condition.format(*(f"${n}" for n in range(first, first + len(values)))))
        self.arguments.extend(values)

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(f'({part})' for part in self._parts)}" if self._parts else ""


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is ordered: by `value` and then by id, and what follows a cursor."""

    name: str
    value: str
    kind: type[CursorValue] | None = None
    cast: str = "text"
    descending: bool = False
    nullable: bool = True

    @property
    def sql(self) -> str:
        """Return what follows ORDER BY."""
        return f"{self.value} {'DESC NULLS LAST' if self.descending else 'ASC'}, id ASC"

    def follow(self, cursor: Cursor, conditions: Conditions) -> None:
        """Let through what comes after the cursor."""
        if cursor.value is None:
            conditions.add(f"{self.value} IS NULL AND id > {{}}", cursor.id)
        elif self.nullable:
            beyond = f"{self.value} {'<' if self.descending else '>'} {{}}::{self.cast}"
            conditions.add(
                f"{beyond} OR {self.value} IS NULL OR ({self.value} = {{}} AND id > {{}})",
                *(cursor.value, cursor.value, cursor.id),
            )
        else:
            conditions.add(f"({self.value}, id) > ({{}}::{self.cast}, {{}})", cursor.value, cursor.id)


@dataclass(frozen=True, slots=True)
class Newest(Order):
    """The latest first: ids grow."""

    @property
    def sql(self) -> str:
        """Return what follows ORDER BY."""
        return "id DESC"

    def follow(self, cursor: Cursor, conditions: Conditions) -> None:
        """Let through what came before the cursor's row."""
        conditions.add("id < {}", cursor.id)


NEWEST = Newest("NEWEST", "NULL::text")


def page_of[Row](
    rows: Sequence[Record], build: Callable[[Record], Row], *, first: int, after: str | None, order: str
) -> Page[Row]:
    """Return the page of rows, of which one more than `first` was asked for; each has an `order_value` and an `id`."""
    shown = rows[:first]
    return Page(
        rows=tuple([build(row) for row in shown]),
        cursors=Cursors(order, shown),
        has_next=len(rows) > first,
        has_previous=after is not None,
    )


def search_pattern(search: str) -> str:
    """Return the ILIKE pattern of a text to search for; InvalidInput where PostgreSQL cannot hold it."""
    if not askable(search):
        raise InvalidInput(
            "The text to search for has a NUL or half a character: leave that out.", path=("filter", "search")
        )
    for special in "\\%_":
        search = search.replace(special, f"\\{special}")
    return f"%{search}%"
