"""scripts/advisories against a source of its own on the loopback address."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONSTRAINTS = "aiohttp==3.9.0\nzope.interface==5.0 ; python_version < '4'\nsafe==1.0\n# comment==1\n-e .\n"
LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "page", "version": "1.0.0"},
        "node_modules/@scope/part": {"version": "2.0.0"},
        "node_modules/a/node_modules/left": {"version": "1.1.0"},
        "node_modules/linked": {"link": True, "resolved": "part"},
    },
}


def advisory(name: str, package: str, *, ecosystem: str = "PyPI", fixed: tuple[str, ...] = (), **more: Any) -> dict:
    events = [{"introduced": "0"}, *({"fixed": version} for version in fixed)]
    ranges = [{"type": "ECOSYSTEM", "events": events}, {"type": "GIT", "events": [{"fixed": "abcdef"}]}]
    affected = [{"package": {"ecosystem": ecosystem, "name": package}, "ranges": ranges}]
    return {"id": name, "summary": f"{name} in short", "affected": affected, **more}


class Source:
    """Answers as OSV does: names by package, one a page, and what is known of each."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], list[dict]] = {}
        self.asked: list[dict] = []
        self.status = 200
        self.address = ""

    def answer(self, path: str, body: dict | None) -> dict:
        if path == "/v1/querybatch":
            self.asked += body["queries"]
            return {"results": [self._page(query) for query in body["queries"]]}
        name = path.removeprefix("/v1/vulns/")
        return next(one for known in self.known.values() for one in known if one["id"] == name)

    def _page(self, query: dict) -> dict:
        known = self.known.get((query["package"]["ecosystem"], query["package"]["name"], query["version"]), [])
        at = int(query.get("page_token", 0))
        page = {"vulns": [{"id": one["id"]} for one in known[at : at + 1]]} if known else {}
        return page | ({"next_page_token": str(at + 1)} if at + 1 < len(known) else {})


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = json.dumps(source.answer(self.path, json.loads(body) if body else None)).encode()
            self.send_response(source.status)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST  # noqa: N815  # http.server's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    source.address = f"http://127.0.0.1:{server.server_port}"
    yield source
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def check(tmp_path: Path, source: Source):
    """Run the script on files of its own; returns its exit code."""
    loader = SourceFileLoader("advisories_script", str(ROOT / "scripts" / "advisories"))
    script = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(script)
    (tmp_path / "constraints.txt").write_text(CONSTRAINTS)
    (tmp_path / "lock.json").write_text(json.dumps(LOCK))

    def run(*, ignored: str = "", address: str | None = None) -> int:
        (tmp_path / "ignored.toml").write_text(ignored)
        paths = {"constraints": "constraints.txt", "lock": "lock.json", "ignored": "ignored.toml"}
        options = [f"--{name}={tmp_path / path}" for name, path in paths.items()]
        return script.main([*options, f"--source={address or source.address}"])

    run.script, run.folder = script, tmp_path
    return run


def test_without_advisories_every_package_was_asked_for(check, source: Source, capsys) -> None:
    assert check() == 0
    asked = {(query["package"]["ecosystem"], query["package"]["name"], query["version"]) for query in source.asked}
    python = {("PyPI", "aiohttp", "3.9.0"), ("PyPI", "zope.interface", "5.0"), ("PyPI", "safe", "1.0")}
    assert asked == python | {("npm", "@scope/part", "2.0.0"), ("npm", "left", "1.1.0")}
    assert "5 packages checked, 0 advisories" in capsys.readouterr().out


def test_advisories_are_told_with_what_mends_them(check, source: Source, capsys) -> None:
    source.known["PyPI", "aiohttp", "3.9.0"] = [
        advisory("GHSA-1", "aiohttp", fixed=("3.9.2", "3.8.9"), aliases=["CVE-1"]),
        advisory("PYSEC-1", "aiohttp", aliases=["CVE-1"]),  # the same by another name
        advisory("GHSA-2", "aiohttp"),
        advisory("GHSA-3", "aiohttp", withdrawn="2026-01-01T00:00:00Z"),
    ]
    source.known["PyPI", "zope.interface", "5.0"] = [advisory("GHSA-4", "Zope_Interface", fixed=("5.1",))]
    source.known["npm", "left", "1.1.0"] = [advisory("GHSA-5", "left", ecosystem="npm", fixed=("1.1.1",))]
    assert check() == 1
    told = capsys.readouterr().out
    assert "aiohttp 3.9.0  GHSA-1  fixed in: 3.8.9, 3.9.2" in told
    assert "aiohttp 3.9.0  GHSA-2  fixed in: none yet" in told
    assert "zope.interface 5.0  GHSA-4  fixed in: 5.1" in told
    assert "left 1.1.0  GHSA-5  fixed in: 1.1.1" in told
    assert "PYSEC-1" not in told
    assert "GHSA-3" not in told
    assert "4 advisories" in told


IGNORED = '[ignored."{name}"]\nreason = "{reason}"\nuntil = {until}\n'


def test_what_is_ignored_with_a_reason_does_not_count_until_its_time_is_over(check, source: Source, capsys) -> None:
    source.known["PyPI", "safe", "1.0"] = [advisory("GHSA-1", "safe", aliases=["CVE-1"])]
    assert check(ignored=IGNORED.format(name="CVE-1", reason="not used", until="9999-01-01")) == 0
    assert "not used" in capsys.readouterr().out
    assert check(ignored=IGNORED.format(name="CVE-1", reason="not used", until="2020-01-01")) == 1
    assert check(ignored=IGNORED.format(name="CVE-2", reason="not used", until="9999-01-01")) == 1
    assert "no longer needed in the list of ignored: CVE-2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "ignored",
    [IGNORED.format(name="X", reason=" ", until="9999-01-01"), '[ignored.X]\nreason = "a"\n', "ignored = 1", "[",
     '[ignored.X]\nreason = "a"\nuntil = "soon"\n'],
)  # fmt: skip
def test_ignoring_takes_a_reason_and_a_day(check, ignored: str, capsys) -> None:
    assert check(ignored=ignored) == 2
    assert "reason" in capsys.readouterr().err


def test_without_a_source_nothing_was_checked(check, source: Source, capsys, free_port) -> None:
    assert check(address=f"http://127.0.0.1:{free_port()}") == 3
    source.status = 503
    assert check() == 3
    assert capsys.readouterr().out.count("Nothing was checked") == 2


def test_an_answer_that_is_not_the_sources_is_none(check, source: Source) -> None:
    source.answer = lambda _path, _body: {"results": []}
    assert check() == 3
    source.answer = lambda _path, _body: ["results"]
    assert check() == 3


def test_a_file_that_cannot_be_read_is_told(check, capsys) -> None:
    (check.folder / "lock.json").write_text("{}")
    assert check() == 2
    (check.folder / "lock.json").unlink()
    (check.folder / "constraints.txt").unlink()
    assert check() == 2
    assert "constraints.txt" in capsys.readouterr().err


def test_every_line_of_the_own_files_is_understood(check) -> None:
    script = check.script
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    assert len(script.pinned(ROOT / "constraints.txt")) == len(lines) > 100
    assert len(script.locked(ROOT / "dashboard" / "package-lock.json")) > 100
