"""The reference pages of the docs' site: what they take from the source. The site itself is built by scripts/check."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = str(ROOT / "scripts" / "site")


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    monkeypatch.syspath_prepend(SITE)
    yield
    for name in ("docstrings", "schema"):
        sys.modules.pop(name, None)


def test_a_module_is_shown_with_signatures_and_docstrings(tmp_path):
    import docstrings

    module = tmp_path / "engine" / "means.py"
    module.parent.mkdir()
    module.write_text(
        '"""Means of a*b."""\n\n\ndef mean(values: list[float], *, weight: float = 1.0) -> float:\n'
        '    """Return the mean.\n\n    Parameters\n    ----------\n    values : one or more, x <= 1\n\n    Raises\n'
        '    ------\n    NotEnoughData\n        there is none\n    """\n\n\ndef _hidden() -> None: ...\n'
    )
    page = docstrings.page("engine", [module], root=tmp_path)
    assert "## engine.means { #engine.means }\n\nMeans of a\\*b." in page
    assert "def mean(values: list[float], *, weight: float=1.0) -> float" in page
    assert "**Parameters**\n\n- `values`: one or more, x &lt;= 1" in page
    assert "**Raises**\n\n- `NotEnoughData`:\n    there is none" in page
    assert "hidden" not in page


def test_every_type_and_field_of_the_schema_is_shown_and_linked(tmp_path):
    import schema

    file = tmp_path / "schema.graphql"
    file.write_text(
        'type Query {\n  """All of one kind."""\n  cats(kind: Kind = TAME): [Cat!]!\n}\n'
        'type Cat { name: String! @deprecated(reason: "Cats have none.") }\nenum Kind {\n  """At home."""\n  TAME\n}\n'
    )
    pages = schema.pages(file)
    assert set(pages) == {"queries", "objects", "inputs", "enums", "others"}
    assert "## cats { #cats }\n\nAll of one kind.\n\nReturns [[Cat](objects.md#Cat)!]!." in pages["queries"][1]
    assert "- `kind`: [Kind](enums.md#Kind)." in pages["queries"][1]
    assert "- `name`: [String](others.md#String)!.  **Deprecated**: Cats have none." in pages["objects"][1]
    assert "- `TAME` At home." in pages["enums"][1]


def test_the_real_schema_has_a_page_for_every_kind():
    import schema

    pages = schema.pages(ROOT / "schema.graphql")
    assert all(text.count("\n## ") > 1 for _title, text in pages.values())
