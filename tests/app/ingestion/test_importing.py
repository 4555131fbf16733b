"""Files come in once, in batches; what is refused is written down; a broken import goes on."""

import json
from decimal import Decimal

import pytest
import pytest_asyncio

from app.errors import InvalidInput
from app.ingestion import importing
from app.ingestion.importing import EventsDestination, FileImport, open_source
from app.store.imports import ImportStore

MAPPING = """
kind = "events"
[fields]
id = { template = "order-{order}" }
type = { constant = "CONVERTED" }
occurredAt = { column = "at", timezone = "UTC" }
userId = "person"
campaignId = { constant = "spring" }
value = { column = "cents", scale = "0.01" }
[where]
status = ["paid"]
"""


@pytest.fixture
def files(tmp_path):
    """Ten orders, of which one is open, one has no amount that is a number, one lies in the future."""
    rows = [[n, "2025-12-01 10:00", f"p{n % 3}", 100 * n, "paid"] for n in range(1, 11)]
    rows[2][4], rows[4][3], rows[6][1] = "open", "much", "2027-01-01 10:00"
    text = "order,at,person,cents,status\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "orders.csv").write_text(text)
    (tmp_path / "orders.toml").write_text(MAPPING)
    return tmp_path


@pytest_asyncio.fixture
async def imports(catalogue, ingestion, clock, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_ROWS", 3)
    return FileImport(EventsDestination(ingestion), ImportStore(catalogue), clock)


def _source(files, **given):
    return open_source(files / "orders.csv", files / "orders.toml", **given)


async def test_good_rows_are_stored_and_bad_ones_written_down(files, imports, catalogue):
    seen = []
    run = await imports.run(_source(files), advanced=seen.append)
    assert (run.rows_done, run.accepted, run.duplicates, run.rejected) == (10, 7, 0, 2)
    assert run.finished_at is not None
    assert sum(seen) == 10
    report = [json.loads(line) for line in (files / "orders.csv.rejected.jsonl").read_text().splitlines()]
    assert [(entry["line"], entry["id"], entry["field"], entry["code"]) for entry in report] == [
        (6, None, "value", "INVALID_INPUT"),
        (8, "order-7", "occurredAt", "INVALID_INPUT"),
    ]
    assert all(entry["reason"] and entry["message"] for entry in report)
    assert await catalogue.fetchval("SELECT sum(revenue_micros) FROM campaign_day") == (55 - 3 - 5 - 7) * 1_000_000


async def test_a_file_without_refused_rows_is_not_read_again(files, imports, catalogue, ingestion, clock):
    (files / "orders.csv").write_text("order,at,person,cents,status\n1,2025-12-01 10:00,p,5,paid\n")
    first = await imports.run(_source(files))
    again = await imports.run(_source(files))
    assert again == first
    assert (again.accepted, again.rejected) == (1, 0)


async def test_one_with_refused_rows_begins_anew_when_it_had_ended(files, imports, catalogue):
    first = await imports.run(_source(files))
    (await catalogue.execute("SELECT 1"))
    again = await imports.run(_source(files))
    assert (again.id, again.accepted, again.duplicates, again.rejected) == (first.id, 0, 7, 2)
    assert len((files / "orders.csv.rejected.jsonl").read_text().splitlines()) == 2


async def test_a_broken_import_goes_on_where_it_stopped(files, imports, catalogue, ingestion, clock):
    class Breaking(EventsDestination):
        batches = 0

        async def write(self, items):
            receipt = await super().write(items)
            self.batches += 1
            if self.batches == 2:
                raise ConnectionError("gone")  # after the events were stored, before it was noted
            return receipt

    source = _source(files)
    with pytest.raises(ConnectionError):
        await FileImport(Breaking(ingestion), ImportStore(catalogue), clock).run(source)
    assert await catalogue.fetchval("SELECT rows_done FROM import_run") == 3
    seen = []
    run = await imports.run(source, advanced=seen.append)
    assert seen[0] == 3
    assert (run.rows_done, run.accepted, run.duplicates, run.rejected) == (10, 5, 2, 2)
    assert await catalogue.fetchval("SELECT count(*) FROM event") == 7
    assert len((files / "orders.csv.rejected.jsonl").read_text().splitlines()) == 2


async def test_the_same_rows_in_another_file_are_there_already(files, imports, catalogue):
    await imports.run(_source(files))
    lines = (files / "orders.csv").read_text().splitlines(keepends=True)
    (files / "orders.csv").write_text("".join([lines[0], *reversed(lines[1:])]))
    run = await imports.run(_source(files))
    assert (run.accepted, run.duplicates, run.rejected) == (0, 7, 2)
    assert await catalogue.fetchval("SELECT sum(value_micros) FROM event") == Decimal(40_000_000)


async def test_what_cannot_be_opened_is_refused_before_anything_happens(files, imports, catalogue):
    with pytest.raises(InvalidInput, match="no file"):
        open_source(files / "missing.csv", files / "orders.toml")
    with pytest.raises(InvalidInput, match="for events, not for users"):
        _source(files, kind="users")
    (files / "orders.csv").write_text("order,when\n1,2\n")
    with pytest.raises(InvalidInput, match="'at'"):
        _source(files)
    assert await catalogue.fetchval("SELECT count(*) FROM import_run") == 0
