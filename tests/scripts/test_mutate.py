"""Mutation testing: which changes are made, and where."""

import sys
from pathlib import Path

import pytest

SCRIPTS = str(Path(__file__).parents[2] / "scripts")


@pytest.fixture
def changed(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import mutate

    def changed(source: str) -> set[str]:
        return {source[: one.start] + one.changed + source[one.end :] for one in mutate.mutants(source)}

    yield changed
    sys.modules.pop("mutate")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b"}),
        ("ä = 'ö' if b == c else d", {"ä = 'ö' if b != c else d", "ä = 'ö' if (not (b == c)) else d"}),
        ("a and b", {"a or b"}),
        ("not a", {"a"}),
        ("x = a + 1", {"x = a - 1", "x = a + 2"}),
        ("x = True", {"x = False"}),
        ("f(a)", {"pass"}),
        ("a is not None", {"a is None"}),
        ("'a = b'", set()),  # no SQL
        (
            "s = 'SELECT a WHERE b = 1 AND c <= 2'",
            {
                "s = 'SELECT a WHERE b <> 1 AND c <= 2'",
                "s = 'SELECT a WHERE b = 1 OR c <= 2'",
                "s = 'SELECT a WHERE b = 1 AND c < 2'",
            },
        ),
        ("@dataclass(frozen=True)\nclass A(B, kw_only=True):\n    a: int | None", set()),
    ],
)
def test_changes(changed, source: str, expected: set[str]):
    assert {" ".join(one.split()) for one in changed(source)} == {" ".join(one.split()) for one in expected}


def test_a_change_knows_its_line(changed):
    import mutate

    assert [one.line for one in mutate.mutants('"""Text."""\n\nSQL = """\n    SELECT a\n    WHERE b < 1\n"""\n')] == [5]
