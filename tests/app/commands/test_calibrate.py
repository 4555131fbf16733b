"""`winnow calibrate`, as it is typed."""

import re

import pytest
from typer.testing import CliRunner

from app.cli import build
from app.errors import InvalidInput

line = build(["calibrate"])


@pytest.mark.slow
def test_a_small_calibration_prints_every_promise_and_draws_it(tmp_path):
    plot = tmp_path / "calibration.png"
    run = CliRunner().invoke(
        line,
        ["calibrate", "--tests", "200", "--looks", "10", "--seed", "7", "--plot", str(plot)],
        env={"COLUMNS": "200"},
    )
    assert run.exit_code == 0, run.output
    assert len(re.findall(r"\d+\.\d\d% to \d+\.\d\d%", run.stdout)) >= 10
    assert "broken" not in run.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_plot_of_another_kind_is_refused_before_anything_is_simulated(tmp_path):
    run = CliRunner().invoke(line, ["calibrate", "--plot", str(tmp_path / "plot.bmp")])
    assert isinstance(run.exception, InvalidInput)
    assert not (tmp_path / "plot.bmp").exists()
