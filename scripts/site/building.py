"""Builds the docs' site: python scripts/site/building.py [FOLDER]. Run by scripts/docs, and by a test.

Pages keep the places that they have in the repository, so that links between them are those that readers of the
repository follow; other files that a page links to are put beside them.
"""

import logging
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException

sys.path.insert(0, str(Path(__file__).parent))
import docstrings
import schema

ROOT = Path(__file__).parents[2]
STAGE = ROOT / ".winnow" / "docs"
PROJECT = {
    "Architecture": "ARCHITECTURE.md",
    "Contributing": "CONTRIBUTING.md",
    "Changes": "CHANGELOG.md",
}
LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")
ENGINE = {"engine": "What all share"}


def main(folder: Path | None = None) -> None:
    """Build, or say what is wrong and exit."""
    stage()
    navigation = [
        {"Reference": [{"The graph": list(schema_pages())}, {"The engine": list(engine_pages())}]},
        {"Project": [*({title: page} for title, page in PROJECT.items()), {"Decisions": list(decisions())}]},
    ]
    config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder) if folder else None)
    config.nav = [*(config.nav or []), *navigation]
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    except MkDocsException as failure:
        raise SystemExit(f"The site was not built: {failure}") from failure
    print(f"Built {config.site_dir}/index.html")


def stage() -> None:
    """Put the repository's pages, and what they link to, into a folder of their own."""
    shutil.rmtree(STAGE, ignore_errors=True)
    STAGE.mkdir(parents=True)
    for page in ["README.md", *PROJECT.values()]:
        shutil.copy(ROOT / page, STAGE / page)
    shutil.copytree(ROOT / "docs", STAGE / "docs")
    (STAGE / "assets").mkdir()
    shutil.copy(Path(__file__).parent / "iframe-worker.js", STAGE / "assets")
    for page in list(STAGE.rglob("*.md")):
        for linked in _files_linked(page):
            target = STAGE / linked
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / linked, target)


def _files_linked(page: Path) -> Iterator[Path]:
    for link in LINK.findall(page.read_text()):
        linked = (page.parent / link).resolve().relative_to(STAGE.resolve())
        if (ROOT / linked).is_file() and not link.endswith(".md"):
            yield linked


def schema_pages() -> Iterator[dict[str, str]]:
    """Write the graph's reference, and return its part of the navigation."""
    for name, (title, text) in schema.pages(ROOT / "schema.graphql").items():
        yield {title: _written(f"reference/graph/{name}.md", text)}


def engine_pages() -> Iterator[dict[str, str]]:
    """Write the engine's reference, a page a package, and return its part of the navigation."""
    packages = sorted({module.parent for module in (ROOT / "engine").rglob("*.py")})
    for package in packages:
        name = ".".join(package.relative_to(ROOT).parts)
        modules = sorted(package.glob("*.py"))
        title = ENGINE.get(name, name.removeprefix("engine."))
        yield {title: _written(f"reference/{name}.md", docstrings.page(name, modules, root=ROOT))}


def decisions() -> Iterator[dict[str, Any]]:
    """Return the records of decisions, in their order."""
    for record in sorted((ROOT / "docs" / "adr").glob("*.md")):
        title = record.read_text().partition("\n")[0].removeprefix("# ")
        yield {title: f"docs/adr/{record.name}"}


def _written(name: str, text: str) -> str:
    page = STAGE / name
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)
    return name


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
