from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
MODULES = sorted(
    module.relative_to(ROOT).as_posix()
    for package in ("app", "graph", "engine")
    for module in (ROOT / package).rglob("*.py")
    if module.name != "__init__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_line(module):
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"- `{module}` ")] or [""]
    assert line, f"{module} is not in ARCHITECTURE.md: run python scripts/list_modules.py"
    assert line.rstrip() != f"- `{module}`", f"{module} says nothing of itself: give it a docstring"


def test_every_line_has_its_module():
    listed = {line.split("`")[1] for line in PAGE.splitlines() if line.startswith("- `")}
    assert listed == set(MODULES)
