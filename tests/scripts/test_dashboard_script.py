"""scripts/dashboard, with a Node and an npm that only note what they are asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "sed", "cat", "find", "sort", "cksum", "mkdir", "rm", "mv", "ln", "chmod", "head", "mktemp")
TOOLS += ("dirname", "printf", "grep")  # and nothing else
NODE = "#!/bin/sh\nexit 0\n"
NPM = """#!/bin/sh
printf '%s\\n' "$*" >>"$NOTES"
case "$*" in *build*)
    [ -z "${BROKEN:-}" ] || exit 1
    mkdir -p "$WINNOW_DASHBOARD_OUT" && echo page >"$WINNOW_DASHBOARD_OUT/index.html" ;;
*ci*)
    mkdir -p node_modules ;;
esac
"""


class Copy:
    """A clone with a dashboard of three files."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "winnow"
        self.notes = folder / "notes"
        self.tools = folder / "bin"
        self.built = self.root / "app" / "operations" / "static" / "dashboard"
        (self.root / "scripts").mkdir(parents=True)
        self.built.parent.mkdir(parents=True)
        (self.root / "dashboard").mkdir()
        shutil.copy(ROOT / "scripts" / "dashboard", self.root / "scripts")
        for name in ("schema.graphql", "dashboard/package.json", "dashboard/package-lock.json"):
            (self.root / name).write_text("{}")
        self.tools.mkdir()
        for name in TOOLS:
            (self.tools / name).symlink_to(shutil.which(name))

    def give_node(self) -> None:
        for name, content in (("node", NODE), ("npm", NPM)):
            (self.tools / name).write_text(content)
            (self.tools / name).chmod(0o755)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.tools), "HOME": str(self.root), "NOTES": str(self.notes), **variables}
        command = [self.root / "scripts" / "dashboard", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def asked(self) -> list[str]:
        return [line.split()[0] for line in self.notes.read_text().splitlines()] if self.notes.exists() else []


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_build_is_made_once_for_each_state_of_the_sources(copy: Copy) -> None:
    copy.give_node()
    assert copy.run("build").returncode == 0
    assert (copy.built / "index.html").read_text() == "page\n"
    assert copy.run("build").returncode == 0
    assert copy.asked() == ["ci", "run"]
    (copy.root / "schema.graphql").write_text("type Query")
    copy.run("build")
    assert copy.asked() == ["ci", "run", "run"]  # what is installed is what the lock file says


def test_a_build_that_fails_leaves_the_one_before(copy: Copy) -> None:
    copy.give_node()
    copy.run("build")
    (copy.root / "schema.graphql").write_text("type Query")
    assert copy.run("build", BROKEN="1").returncode == 1
    assert (copy.built / "index.html").exists()
    assert [path.name for path in copy.built.parent.iterdir() if path.name.startswith("dashboard.")] == []


def test_what_could_not_be_built_is_tried_once_until_its_sources_change(copy: Copy) -> None:
    copy.give_node()
    assert copy.run("build", "--once", BROKEN="1").returncode == 1
    assert copy.run("build", "--once", BROKEN="1").returncode == 0
    assert copy.asked() == ["ci", "run"]
    assert copy.run("build").returncode == 0  # asked for by name, it is tried
    assert (copy.built / "index.html").exists()


def test_without_node_and_network_it_says_so(copy: Copy) -> None:
    refused = copy.run("build")
    assert refused.returncode == 1
    assert "no Node" in refused.stderr
    assert not copy.built.exists()


def test_it_says_how_to_be_called(copy: Copy) -> None:
    answer = copy.run("nonsense")
    assert answer.returncode == 2
    assert "scripts/dashboard {build|check|test}" in answer.stderr


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "dashboard" / "package-lock.json").read_text()
    assert os.access(ROOT / "scripts" / "dashboard", os.X_OK)
