"""What a declaration must hold before it can be served, and what loaders may answer."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import strawberry
from graphql import graphql

from app.errors import InvalidInput
from graph.fields import answers, loads, reading, related
from graph.schema import GraphSchema


def linked(query: type) -> GraphSchema:
    schema = GraphSchema(query=query)
    schema.link()
    return schema


@dataclass
class Row:
    name: str
    friends: int = 0


@strawberry.type
class Person:
    name: str = reading("Name.")
    shout: str = reading("Name, louder.", lambda row: row.name.upper())
    friends: list["Person"] = related("Friends.", size=3)


CALLS: list[tuple[list[str], int]] = []


@loads(Person, "friends")
async def load_friends(_context, people: list[Row], *, most: int = 2) -> list[object]:
    CALLS.append(([person.name for person in people], most))
    return [
        InvalidInput(f"{person.name} has none: ask somebody else.") if person.friends < 0
        else [Row(f"{person.name}{n}", -1 if n == 1 else 1) for n in range(min(most, person.friends))]
        for person in people
    ]  # fmt: skip


@strawberry.type
class People:
    everybody: list[Person] = related("Everybody.")
    nobody: Person | None = related("Nobody.")
    miscounted: list[Person] = related("Too few values.")


@answers(People, "everybody")
async def everybody(_context) -> list[Row]:
    return [Row("a", 2), Row("b", 1)]


@answers(People, "nobody")
async def nobody(_context) -> None:
    return None


@loads(People, "miscounted")
async def miscounted(_context, _roots) -> list[object]:
    return []


@pytest.fixture
def run():
    schema = linked(People)
    CALLS.clear()

    async def run(query: str):
        return await graphql(schema.core, query, context_value=SimpleNamespace())

    return run


async def test_one_call_a_place_with_all_its_rows(run) -> None:
    result = await run("{ everybody { name shout friends { name friends(most: 1) { name } } } }")
    assert CALLS == [(["a", "b"], 2), (["a0", "a1", "b0"], 1)]
    assert result.data is None  # a1's friends fail, and no list here may hold a null
    (error,) = result.errors
    assert error.path == ["everybody", 0, "friends", 1, "friends"]
    assert isinstance(error.original_error, InvalidInput)


async def test_a_value_may_be_missing(run) -> None:
    result = await run("{ nobody { friends { name } } }")
    assert result.data == {"nobody": None}
    assert CALLS == []


async def test_null_stands_for_the_default(run) -> None:
    await run("query($n: Int) { everybody { friends(most: $n) { shout } } }")
    assert CALLS == [(["a", "b"], 2)]


async def test_a_loader_that_miscounts_is_an_error_of_its_own(run) -> None:
    result = await run("{ miscounted { name } }")
    assert result.data is None
    assert isinstance(result.errors[0].original_error, ValueError)


def test_a_field_without_a_loader_is_not_served() -> None:
    @strawberry.type
    class Query:
        lonely: int = related("Nobody loads it.")

    with pytest.raises(TypeError, match=r"Query.lonely has no loader"):
        linked(Query)


def test_what_has_loaded_fields_cannot_be_read() -> None:
    @strawberry.type
    class Query:
        person: Person = reading("Would never be given its friends.")

    with pytest.raises(TypeError, match=r"Query.person leads to Person"):
        linked(Query)
