"""Ready trees: what an operation asks for, loaded set by set before anything of it is completed.

A root field looks ahead at its selection and grows a tree: for each loaded field, in each place where it is asked for,
one call of its loader with the rows of all objects there. Below the root nothing resolves: graphql-core finds every
value on the object itself, under the response name.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, cast

from graph.context import Context
from graph.selection import Asked


class Branch:
    """An object for which something is loaded: the row it stands for, and by response name what was loaded.

    Each belongs to one place of one operation, so that a response name says everything.
    """

    __slots__ = ("ready", "row")

    def __init__(self, row: Any) -> None:
        self.row = row
        self.ready: dict[str, Any] = {}


class Grown:
    """An operation's root whose fields are loaded: by response name, what graphql-core is to complete."""

    __slots__ = ("values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values


async def grow(context: Context, branches: Sequence[Branch], asked: Sequence[Asked]) -> None:
    """Load everything asked of these branches and below. What fails is kept as the value, and raised on completion."""
    waiting = [one for one in asked if not _took_along(context, branches, one)]
    if len(waiting) == 1:
        await _grow_one(context, branches, waiting[0])
    elif waiting and branches:
        await _all(_grow_one(context, branches, one) for one in waiting)


async def grow_roots(context: Context, asked: Sequence[Asked]) -> dict[str, Any]:
    """Load an operation's root fields and everything below; what cannot be loaded at all is its field's error."""
    if len(asked) == 1:
        return {asked[0].key: await _grow_root(context, asked[0])}
    values = await _all(_grow_root(context, one) for one in asked) if asked else []
    return {one.key: value for one, value in zip(asked, values, strict=True)}


async def _grow_root(context: Context, asked: Asked) -> Any:
    root = Branch(None)
    try:
        await _grow_one(context, [root], asked)
    except Exception as error:  # noqa: BLE001  # raised on completion, where it has its place
        return error
    return root.ready[asked.key]


async def _grow_one(context: Context, branches: Sequence[Branch], asked: Asked) -> None:
    if not branches:
        return
    values = await _load(context, [branch.row for branch in branches], asked)
    key = asked.key
    if not asked.below:
        for branch, value in zip(branches, values, strict=True):
            branch.ready[key] = value
        return
    planted = _Planting()
    for branch, value in zip(branches, values, strict=True):
        branch.ready[key] = planted.plant(value)
    await grow(context, planted.branches, asked.below)


def _took_along(context: Context, branches: Sequence[Branch], asked: Asked) -> bool:
    """Take what was read along with the rows, where nothing hangs on it; False where there is something to wait for."""
    relation = asked.relation
    if asked.below or (relation.permission is not None and not context.principal.may(relation.permission)):
        return False
    try:
        values = _read_along(context, [branch.row for branch in branches], asked)
    except Exception:  # noqa: BLE001  # whoever loads it comes upon the same, and keeps it in its place
        return False
    if values is None:
        return False
    for branch, value in zip(branches, values, strict=True):
        branch.ready[asked.key] = value
    return True


def _read_along(context: Context, rows: Sequence[object], asked: Asked) -> Sequence[object] | None:
    along = asked.relation.along
    return None if along is None or asked.part is None else along.take(context, rows, asked.part)


async def _load(context: Context, rows: Sequence[object], asked: Asked) -> Sequence[object]:
    relation = asked.relation
    try:
        if relation.permission is not None:
            context.principal.require(relation.permission)
        read = _read_along(context, rows, asked)
        if read is not None:
            return read
        return await relation.load(context, rows, **asked.arguments)  # pyright: ignore[reportOptionalCall]  # checked when the schema was built
    except Exception as error:  # noqa: BLE001  # becomes the error of each field, located and masked on completion
        return [_refusal(error, asked)] * len(rows)


def _refusal(error: Exception, asked: Asked) -> object:
    refused = asked.relation.refused
    if refused is None:
        return error
    try:
        return refused(error)
    except Exception as other:  # noqa: BLE001  # what a payload cannot carry becomes the field's error
        return other


async def _all[T](loads: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run two coroutines or more side by side, the first in this very task; each of the others starts at once."""
    first, *others = loads
    loop = asyncio.get_running_loop()
    tasks = [asyncio.Task(one, loop=loop, eager_start=True) for one in others]
    try:
        return [await first, *[await task for task in tasks]]
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise


_LISTS = (list, tuple)


class _Planting:
    """Makes branches of rows: one for each row, however many objects lead to it."""

    def __init__(self) -> None:
        self._by_row: dict[int, Branch] = {}

    @property
    def branches(self) -> list[Branch]:
        return list(self._by_row.values())

    def plant(self, value: Any) -> Any:
        if isinstance(value, _LISTS):
            return self._plant_all(cast("Iterable[Any]", value))
        if value is None or isinstance(value, Exception):
            return value
        branch = self._by_row.get(id(value))
        if branch is None:
            self._by_row[id(value)] = branch = Branch(value)
        return branch

    def _plant_all(self, values: Iterable[Any]) -> list[Any]:
        by_row, planted = self._by_row, list[Any]()
        for value in values:
            branch = by_row.get(id(value))
            if branch is None:
                branch = self.plant(value)
            planted.append(branch)
        return planted
