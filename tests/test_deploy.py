"""What is in deploy/ speaks of settings and commands that there are, and is understood by who reads it."""

import ast
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from app.cli import build, command_names
from app.runtime.settings import Settings, environment_name

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
NAMES = {environment_name(field) for field in Settings.model_fields}
OTHERS = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "FORWARDED_ALLOW_IPS", "HOME"}
"""Variables of the PostgreSQL image, of uvicorn, and of the system."""
OF_SCRIPTS = {"WINNOW_CHROMIUM", "WINNOW_SERVER"}
"""Read by the repository's scripts and tests, not by Winnow."""


def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def parsed(arguments: list[str]) -> dict:
    """Return what a command line sets, without running it; UsageError where it is none."""
    line = typer.main.get_command(build(command_names()))
    with line.make_context("winnow", list(arguments)) as context:
        name, command, rest = line.resolve_command(context, list(arguments))
        assert name is not None
        with command.make_context(name, rest, parent=context) as inner:
            return inner.params


def commands_of_pages() -> list[str]:
    """Return the `winnow ...` lines that the pages of operations show, without what a shell would do with them."""
    pages = [ROOT / "docs/operations.md", *sorted((ROOT / "docs/operations").glob("*.md"))]
    found = [
        line
        for page in pages
        for line in re.findall(r"^    (?:.*\s)?(winnow [a-z].*)$", page.read_text(), re.MULTILINE)
    ]
    return sorted({re.split(r"\s+#|\s+[&|>]", line)[0] for line in found})


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_that_there_is(unit: Path) -> None:
    (started,) = re.findall(r"^ExecStart=/opt/winnow/bin/winnow (.*)$", unit.read_text(), re.MULTILINE)
    assert parsed(shlex.split(started))["log_format"] == "json"
    assigned = re.findall(r"^Environment=(\w+)=", unit.read_text(), re.MULTILINE)
    assert set(assigned) <= NAMES | OTHERS


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_a_unit(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/winnow/bin/winnow", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []


def test_compose_runs_commands_that_there_are() -> None:
    services = compose()["services"]
    assert parsed(services["web"]["command"])["run_worker"] is False
    assert parsed(services["worker"]["command"]) == dict.fromkeys(("database_url", "log_format", "log_level"))
    assert set(services["web"]["depends_on"]) | set(services["worker"]["depends_on"]) <= set(services)


def test_compose_and_image_name_only_known_settings() -> None:
    services = compose()["services"]
    named = {name for service in services.values() for name in service.get("environment", {})}
    image = set(re.findall(r"\b(WINNOW_\w+)=", (DEPLOY / "Dockerfile").read_text()))
    example = set(re.findall(r"^(?:# )?([A-Z_]+)=", (DEPLOY / "winnow.env.example").read_text(), re.MULTILINE))
    assert image
    assert named | image | example <= NAMES | OTHERS


def test_files_that_are_mounted_or_read_are_there() -> None:
    services = compose()["services"]
    assert (DEPLOY / services["proxy"]["volumes"][0].split(":")[0]).is_file()
    assert (ROOT / services["web"]["build"]["dockerfile"]).is_file()
    assert (DEPLOY / f"{services['web']['env_file']}.example").is_file()


def test_the_proxys_limits_are_those_of_the_settings() -> None:
    text, defaults = (DEPLOY / "nginx.conf").read_text(), Settings(data_dir=Path("/nowhere"))
    assert text.count("{") == text.count("}")
    limits = re.findall(r"client_max_body_size (\d+)m; # (WINNOW_\w+)", text)
    sizes = {name: int(size) * 1_000_000 for size, name in limits}
    assert sizes == {
        "WINNOW_MAX_REQUEST_BYTES": defaults.max_request_bytes,
        "WINNOW_MAX_EVENTS_BYTES": defaults.max_events_bytes,
    }


@pytest.mark.parametrize("line", commands_of_pages())
def test_commands_of_the_pages_are_understood(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)[1:]
    dump = tmp_path / "winnow.dump"
    dump.touch()
    parsed([str(dump) if word.endswith(".dump") else word for word in words])


def test_every_setting_that_a_page_names_is_one() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"\bWINNOW_[A-Z_]+\b", page.read_text())}
    assert named - NAMES - OF_SCRIPTS == set()


def written() -> str:
    """Return every text in the source, as one: pieces that stand side by side joined, `...` for what is put in."""
    texts = []
    for package in ("app", "graph"):
        for module in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    pieces = (one.value if isinstance(one, ast.Constant) else "..." for one in node.values)
                    texts.append("".join(map(str, pieces)))
    return "\n".join(texts)


def messages() -> list[str]:
    """Return what the page of troubles quotes in its first column."""
    page = (ROOT / "docs/operations/troubleshooting.md").read_text()
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    return [quoted for cell in cells for quoted in re.findall(r"`([^`]+)`", cell)]


def test_every_message_of_the_page_of_troubles_is_one() -> None:
    source = written()
    strange = {message for message in messages() if not re.search(as_pattern(message), source)}
    assert strange == {"Retry-After"} & strange
    assert len(messages()) > 25


def as_pattern(message: str) -> str:
    """Return the pattern of a message; `...` is whatever stands there."""
    return ".{0,80}".join(map(re.escape, message.split("...")))
