import hashlib
import io
import tarfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path: Path):
    loader = SourceFileLoader("graphiql_script", str(ROOT / "scripts" / "graphiql"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    module.TARGET = tmp_path / "target"
    module.TARGET.mkdir()
    return module


def pack(folder: Path, content: bytes) -> Path:
    path = folder / "thing-1.tgz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("package/umd/thing.js")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


def test_the_reviewed_file_is_placed(script, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"reviewed").hexdigest()
    script.place(pack(tmp_path, b"reviewed"), "umd/thing.js", digest)
    assert (script.TARGET / "thing.js").read_bytes() == b"reviewed"
    assert script.is_right(script.TARGET / "thing.js", digest)


def test_another_file_is_refused(script, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reviewed"):
        script.place(pack(tmp_path, b"tampered"), "umd/thing.js", hashlib.sha256(b"reviewed").hexdigest())
    assert list(script.TARGET.iterdir()) == []


def test_every_file_the_page_asks_for_is_fetched(script) -> None:
    page = (ROOT / "graph" / "static" / "graphiql.html").read_text()
    assert all(f"/graphql/static/graphiql/{Path(name).name}" in page for _, name in script.FILES)
    assert page.count("/graphql/static/graphiql/") == len(script.FILES)


def test_without_npm_the_plain_editor_is_left(script, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(script, "npm", lambda: ["/nonexistent/npm"])
    assert script.main() == 1
    assert "plain editor" in capsys.readouterr().err
