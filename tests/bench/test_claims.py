"""Claims of speed: what a row says of what was measured, and that no page claims what the table does not measure."""

import re
from pathlib import Path

import pytest

from bench.claims import Claim
from bench.table import CLAIMS, PAGES, PARTS, Part, rows_of, write

ROOT = Path(__file__).parents[2]
HEAD = "| what | Winnow | beside | times as fast | claimed | met |"
FASTER = Claim(name="a test", unit="µs", peer="somebody", promised=10.0)
RATE = Claim(name="a flag", unit="requests/s", peer="somebody", promised=0.7, rate=True)
LIMITED = Claim(name="a page", unit="ms", limit=2.0)


def claimed(page: str) -> dict[str, list[str]]:
    """Return a page's claims: the rows below the heading, by name."""
    _, _, below = (ROOT / page).read_text().partition(HEAD + "\n")
    rows = [line.strip("| ").split(" | ") for line in below.partition("\n\n")[0].splitlines()[1:]]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md"])
def test_what_a_page_claims_is_measured_beside_the_same_and_claimed_as_much(page):
    claims = {claim.name: claim for claim in CLAIMS}
    found = claimed(page)
    assert len(found) >= 15
    for name, row in found.items():
        assert name in claims
        assert re.split(": ", row[1])[0] == claims[name].peer
        assert float(row[3]) == claims[name].promised


def test_the_page_on_benchmarks_has_every_claim():
    assert set(claimed("docs/benchmarks.md")) == {claim.name for claim in CLAIMS}


def test_no_two_claims_have_one_name():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)


def test_a_cost_is_compared_the_other_way_round_than_a_rate():
    assert FASTER.measured((2.0, 30.0)).ratios == (15.0,)
    assert RATE.measured((30.0, 60.0)).ratios == (0.5,)
    assert LIMITED.within(0.5).ratios == (4.0,)


def test_the_worst_ratio_decides():
    assert FASTER.measured((1.0, 10.0), (1.0, 20.0)).met is True
    assert FASTER.measured((1.0, 9.9), (1.0, 20.0)).met is False
    assert FASTER.unmeasured("no npm").met is None


def test_rounds_count_by_the_median_of_their_ratios():
    row = RATE.rounds([(10.0, 20.0), (90.0, 100.0), (80.0, 100.0)])
    assert row.pairs == ((80.0, 100.0),)
    assert row.ratios == (0.8,)


def test_cells_tell_what_was_measured_or_why_nothing_was():
    assert FASTER.measured((2.0, 30.0)).cells() == ("a test", "2.00 µs", "somebody: 30.0", "15.0", "10", "yes")
    assert RATE.unmeasured("no npm\nhere").cells() == ("a flag", "not measured: no npm here", "somebody", "", "0.7", "")
    assert LIMITED.measured((1234.5, 2.0)).cells() == ("a page", "1,234 ms", "limit: 2.00", "0.0016", "1", "NO")


def test_a_bench_that_breaks_off_leaves_rows_that_say_why():
    def measure() -> list:
        raise SystemExit("There is no npm")

    rows = rows_of(Part("broken", (FASTER, LIMITED), measure))
    assert [row.reason for row in rows] == ["SystemExit: There is no npm"] * 2
    kept = rows_of(Part("half", (FASTER, LIMITED), lambda: [LIMITED.within(1.0)]))
    assert [row.met for row in kept] == [None, True]
    assert "did not measure" in kept[0].reason


def test_figures_are_put_into_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Measured in one run: never.\n| a test | old |\n| a page | old |\n| other | old |\n")
    write([FASTER.measured((2.0, 30.0)), LIMITED.unmeasured("no time")], page, run="2 minutes, load 1")
    assert page.read_text().splitlines() == [
        "Measured in one run: 2 minutes, load 1.",
        "| a test | 2.00 µs | somebody: 30.0 | 15.0 | 10 | yes |",
        "| a page | old |",
        "| other | old |",
    ]


def test_every_bench_of_the_table_claims_something():
    assert all(part.claims for part in PARTS)
    assert all(page.exists() for page in PAGES)
