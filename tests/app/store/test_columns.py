"""Rows as columns, held against the same rows one by one."""

from datetime import UTC, datetime

import numpy as np
import pytest

from app.store.columns import fetch_columns
from app.store.database import Database

NUMBERS = """
    SELECT n::bigint, (n % 100)::smallint, n / 7.0::float8,
           '2026-03-29 00:59:59.123456+00'::timestamptz + n * interval '1 h'
    FROM generate_series($1::bigint, $2::bigint) AS n ORDER BY n
"""


@pytest.mark.parametrize(("first", "last"), [(-3, 4), (1, 20_000), (5, 4)])
async def test_columns_are_the_rows(database: Database, first: int, last: int) -> None:
    rows = await database.fetch(NUMBERS, first, last)
    async with database.connection() as connection:
        found = await fetch_columns(
            connection, NUMBERS, first, last, n="bigint", small="smallint", part="float", at="time"
        )
    assert found["n"].tolist() == [row[0] for row in rows]
    assert found["small"].tolist() == [row[1] for row in rows]
    assert found["part"].tolist() == [row[2] for row in rows]
    assert [datetime.fromtimestamp(at / 1e6, UTC) for at in found["at"].tolist()] == [row[3] for row in rows]
    assert {column.dtype for column in found.values()} == {np.dtype(np.int64), np.dtype(np.float64)}


async def test_texts_travel_as_parameters(database: Database) -> None:
    names = ["Überall 東京", "it's; DROP TABLE event", ""]
    query = "SELECT place FROM unnest($1::text[]) WITH ORDINALITY AS s (name, place) WHERE name = $2"
    async with database.connection() as connection:
        for place, name in enumerate(names, start=1):
            found = await fetch_columns(connection, query, names, name, place="bigint")
            assert found["place"].tolist() == [place]


@pytest.mark.parametrize("rows", [1, 7, 14])
async def test_a_null_is_an_error_rather_than_a_wrong_number(database: Database, rows: int) -> None:
    query = "SELECT CASE WHEN n % 2 = 1 THEN NULL ELSE n END::bigint FROM generate_series(1, $1::bigint) AS n"
    async with database.connection() as connection:
        with pytest.raises(ValueError, match="may be null"):
            await fetch_columns(connection, query, rows, n="bigint")
