"""`winnow replay` over files, and over a test's own log."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from app.abtests.replaying import logged_test, open_bandit_log
from app.cli import build
from app.errors import InvalidInput, NotEnoughData, NotFound
from app.store.abtests import TestStore
from app.store.policies import PolicyStore

RATES = (0.1, 0.3, 0.5)


@pytest.fixture
def uniform(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    items = rng.integers(0, 3, 3000)
    clicks = rng.random(3000) < np.array(RATES)[items]
    rows = [f"{item},{int(click)},0.3333333" for item, click in zip(items, clicks, strict=True)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["item_id,click,propensity_score", *rows]) + "\n")
    return path


def run(*arguments: str):
    return CliRunner().invoke(build(["replay"]), ["replay", *arguments], env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture
def adaptive(tmp_path: Path) -> Path:
    """A log whose policy had favourites, of which one item of four was never shown."""
    rng = np.random.default_rng(6)
    shares = np.array([0.6, 0.3, 0.1])
    items = rng.choice(3, 6000, p=shares)
    clicks = rng.random(6000) < np.array(RATES)[items]
    names = np.array([0, 1, 3])[items]
    rows = [f"{name},{int(click)},{shares[item]}" for name, item, click in zip(names, items, clicks, strict=True)]
    path = tmp_path / "adaptive.csv"
    path.write_text("\n".join(["item_id,click,propensity_score", *rows]) + "\n")
    return path


def cells_of(output: str) -> dict[str, list[str]]:
    lines = (line.split("│")[1:-1] for line in output.splitlines())
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines if len(cells) == 4}


@pytest.mark.parametrize("policy", ["thompson", "top-two-thompson", "ucb", "epsilon-greedy"])
def test_a_learning_policy_earns_more_than_the_even_log(uniform: Path, policy: str):
    result = run(str(uniform), "--policy", policy)
    assert result.exit_code == 0, result.output
    rows = {cells[0].strip(): cells for line in result.output.splitlines() if len(cells := line.split("│")[1:-1]) == 4}
    assert float(rows["logged"][1]) == pytest.approx(0.3, abs=0.03)
    assert float(rows["doubly robust"][1]) > 0.35
    assert int(rows["replayed"][3].replace(",", "")) < 3000


@pytest.mark.parametrize("policy", ["thompson", "ucb"])
def test_a_log_of_favourites_teaches_by_weight(adaptive: Path, policy: str):
    read = open_bandit_log(adaptive)
    assert read.arms == ("item 0", "item 1", "item 3")
    result = run(str(adaptive), "--policy", policy)
    assert result.exit_code == 0, result.output
    rows = cells_of(result.output)
    assert float(rows["logged"][0]) == pytest.approx(0.2, abs=0.02)
    assert float(rows["doubly robust"][0]) > 0.35
    assert float(rows["doubly robust"][1].split(" to ")[0]) > 0.3
    assert int(rows["doubly robust"][2].replace(",", "")) < 3000


def test_a_plot_is_drawn(uniform: Path, tmp_path: Path):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "course.png"
    assert run(str(uniform), "--plot", str(plot)).exit_code == 0
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_plot_of_another_kind_is_refused(uniform: Path):
    assert isinstance(run(str(uniform), "--plot", "course.gif").exception, InvalidInput)


def test_a_log_that_cannot_be_replayed_is_refused(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_text("item_id,click\n1,0\n")
    with pytest.raises(InvalidInput, match="propensity_score"):
        open_bandit_log(path)
    path.write_text("item_id,click,propensity_score\n")
    with pytest.raises(NotEnoughData):
        open_bandit_log(path)


def test_too_short_a_log_gives_no_support(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_text("item_id,click,propensity_score\n0,0,0.5\n1,1,0.5\n")
    assert isinstance(run(str(path)).exception, NotEnoughData)


async def test_a_test_s_log_is_its_units_with_closed_windows(clean_database):
    database = clean_database
    at = datetime(2026, 3, 10, tzinfo=UTC)
    for statement in LOG:
        await database.execute(statement)
    stores = {"tests": TestStore(database), "policies": PolicyStore(database), "at": at}
    read = await logged_test("spring", **stores)
    assert read.arms == ("a", "b")
    assert read.log.actions.tolist() == [0, 1]  # the third unit's window is open
    assert read.log.rewards.tolist() == [1.0, 0.0]
    assert read.log.probabilities.tolist() == [[0.5, 0.5], [0.2, 0.8]]
    with pytest.raises(NotFound):
        await logged_test("none", **stores)


LOG = (
    "INSERT INTO ab_test (key, name, seed) VALUES ('spring', 'S', 's')",
    (
        "INSERT INTO ab_test_variant (test_id, key, name, position, is_control, weight) "
        "VALUES (1, 'a', 'A', 0, true, 0.5), (1, 'b', 'B', 1, false, 0.5)"
    ),
    (
        "INSERT INTO ab_test_metric (test_id, key, name, position, kind, event, higher_is_better, window_hours) "
        "VALUES (1, 'c', 'C', 0, 'CONVERSION', 6, true, 72)"
    ),
    (
        "INSERT INTO allocation (test_id, policy_version, policy, floor, probabilities, created_at) "
        "VALUES (1, 1, 'THOMPSON', 0.1, '[0.5, 0.5]', '2026-03-01'), "
        "(1, 2, 'THOMPSON', 0.1, '[0.2, 0.8]', '2026-03-02')"
    ),
    (
        "INSERT INTO ab_test_assignment (test_id, user_id, variant_id, assigned_at, first_exposed_at, probability, "
        "policy_version) VALUES (1, 1, 1, '2026-03-01', '2026-03-01', 0.5, 1), "
        "(1, 2, 2, '2026-03-02', '2026-03-02', 0.8, 2), (1, 3, 2, '2026-03-09', '2026-03-09', 0.8, 2)"
    ),
    (
        "INSERT INTO unit_metric (test_id, metric_id, user_id, variant_id, value) "
        "VALUES (1, 1, 1, 1, 1), (1, 1, 2, 2, 0), "
        "(1, 1, 3, 2, 1)"
    ),
)
