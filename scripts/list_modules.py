"""Writes the list of modules in ARCHITECTURE.md anew, from the modules' docstrings: python scripts/list_modules.py."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
PACKAGES = ("app", "graph", "engine")
MARK = "<!-- modules -->"


def main() -> None:
    """Replace what stands below the mark."""
    head = PAGE.read_text().partition(MARK)[0]
    PAGE.write_text(head + MARK + "\n" + "\n".join(lines()) + "\n")


def lines() -> Iterator[str]:
    """Yield the list: a heading a package, a line a module."""
    folders = sorted({module.parent for package in PACKAGES for module in (ROOT / package).rglob("*.py")})
    for folder in sorted(folders, key=lambda folder: (PACKAGES.index(folder.relative_to(ROOT).parts[0]), folder)):
        name = folder.relative_to(ROOT).as_posix()
        package = folder / "__init__.py"
        yield f"\n**{name}/**" + (f" {first_sentence(package)}" if package.exists() else "") + "\n"
        modules = (module for module in sorted(folder.glob("*.py")) if module.name != "__init__.py")
        yield from (f"- `{module.relative_to(ROOT).as_posix()}` {first_sentence(module)}" for module in modules)


def first_sentence(module: Path) -> str:
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(module.read_text())) or "").partition("\n")[0]


if __name__ == "__main__":
    main()
