import json
import os

import pytest
import structlog

from app.operations.access_log import access_log
from app.runtime.settings import Settings

LINE = {"method": "GET", "path": "/x", "status": 200, "milliseconds": 1.5, "key": 3, "request_id": "r"}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)

    def write(*lines, **settings):
        log = access_log(Settings(**{"log_format": "json"} | settings), descriptor=descriptor)
        for line in lines:
            log(line)
        return [json.loads(line) for line in path.read_text().splitlines()]

    yield write
    os.close(descriptor)


def test_a_line_is_json_with_the_general_logs_members(written):
    (line,) = written(LINE)
    assert line.pop("timestamp").endswith("Z")
    assert line == {**LINE, "event": "request", "level": "info", "logger": "winnow.access"}


def test_a_path_cannot_forge_lines_nor_give_a_key_away(written):
    (line,) = written({**LINE, "path": '/x\n{"event": "forged"}/wnw_' + "k" * 40})
    assert "forged" in line["path"]
    assert "kkk" not in line["path"]


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("info", 1), ("warning", 0), ("error", 0)])
def test_the_level_decides_what_is_written(written, level, count):
    assert len(written(LINE, {**LINE, "path": "/healthz"}, log_level=level)) == count


def test_people_get_the_general_log(written):
    with structlog.testing.capture_logs() as entries:
        assert written(LINE, log_format="console") == []
    assert [entry["status"] for entry in entries] == [200]
