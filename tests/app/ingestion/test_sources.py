"""Rows of files of each kind, with the lines they begin at."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import InvalidInput
from app.ingestion.rejections import Rejection
from app.ingestion.sources import count_rows, has_columns, read_rows


def test_csv_with_a_mark_quotes_and_lines_within_fields(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffid,note\n1,"two\nlines"\n2,"say ""hi"""\n'.encode())
    assert [(row.line, row.values) for row in read_rows(path)] == [
        (2, {"id": "1", "note": "two\nlines"}),
        (4, {"id": "2", "note": 'say "hi"'}),
    ]
    assert has_columns(path)


def test_a_csv_row_of_another_length_is_refused_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,note\n1,a\n2\n3,b,c\n4,d\n")
    rows = list(read_rows(path))
    assert [isinstance(row.values, Rejection) for row in rows] == [False, True, True, False]
    assert [row.line for row in rows] == [2, 3, 4, 5]


def test_a_csv_row_that_is_no_utf8_is_refused_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,note\n1,\xff\n2,\xc3\xa9\n")
    rows = list(read_rows(path))
    assert isinstance(rows[0].values, Rejection)
    assert rows[1].values == {"id": "2", "note": "é"}


def test_an_empty_csv_has_no_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"")
    assert list(read_rows(path)) == []


def test_tabs_and_gzip(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"id\tnote\n1\ta,b\n"))
    assert [row.values for row in read_rows(path)] == [{"id": "1", "note": "a,b"}]


def test_json_lines_keep_amounts_exact_and_refuse_bad_lines_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"v": 0.1}\n\n[1]\n{"v": "\xff"}\n{"v": 2}\n')
    rows = list(read_rows(path))
    assert rows[0].values == {"v": Decimal("0.1")}
    assert [row.line for row in rows] == [1, 3, 4, 5]
    assert [isinstance(row.values, Rejection) for row in rows] == [False, True, True, False]
    assert not has_columns(path)


def test_parquet_with_times_finer_than_microseconds(tmp_path):
    path = tmp_path / "a.parquet"
    fine = pa.array([1_767_225_600_000_000_999], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"at": fine, "amount": pa.array([Decimal("1.10")])}), path)
    (row,) = read_rows(path)
    assert type(row.values["at"]) is datetime
    assert row.values == {"at": datetime(2026, 1, 1, tzinfo=UTC), "amount": Decimal("1.10")}
    assert count_rows(path) == 1


def test_a_file_of_no_known_kind_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="parquet"):
        read_rows(tmp_path / "a.xlsx")
