import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.ingestion.rejections import DropReason, Receipt, Rejected, Rejection
from app.store.imports import ImportStore

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(clean_database):
    return ImportStore(clean_database)


async def test_an_import_begins_once(store):
    first = await store.begin("d1", source="a.csv", at=AT)
    again = await store.begin("d1", source="renamed.csv", at=AT + timedelta(days=1))
    assert again == first
    assert (first.rows_done, first.started_at, first.finished_at) == (0, AT, None)
    assert (await store.begin("d2", source="b.csv", at=AT)).id != first.id


async def test_processes_beginning_at_once_share_the_import(store):
    runs = await asyncio.gather(*(store.begin("d1", source="a.csv", at=AT) for _ in range(5)))
    assert len({run.id for run in runs}) == 1


async def test_batches_add_up_until_the_end(store):
    run = await store.begin("d1", source="a.csv", at=AT)
    refused = Rejected(0, Rejection(DropReason.BAD_TIME, "m"))
    await store.advance(run.id, rows=5, receipt=Receipt(3, 1, (refused,)), at=AT)
    await store.advance(run.id, rows=4, receipt=Receipt(4, 0), at=AT)
    await store.finish(run.id, at=AT + timedelta(hours=1))
    run = await store.begin("d1", source="a.csv", at=AT)
    assert (run.rows_done, run.accepted, run.duplicates, run.rejected) == (9, 7, 1, 1)
    assert run.finished_at == AT + timedelta(hours=1)
