from pathlib import Path

import numpy as np
import pytest

from engine.simulation.calibration import calibrate
from engine.simulation.plotting import save_plot
from engine.simulation.promises import CalibrationReport


@pytest.fixture(scope="module")
def report() -> CalibrationReport:
    return calibrate(np.random.default_rng(1), tests=200, looks=7)


def test_same_seed_same_report(report: CalibrationReport) -> None:
    again = calibrate(np.random.default_rng(1), tests=200, looks=7)
    assert again.rows == report.rows
    assert (again.curve.realised == report.curve.realised).all()


def test_every_section_is_there(report: CalibrationReport) -> None:
    sections = {row.section for row in report.rows}
    assert sections == {
        "False calls, 7 looks",
        "Coverage, truths from the prior",
        "Coverage, fixed truth",
        "P(best)",
        "After Thompson sampling, floor 10%",
        "After Thompson sampling, floor 1%",
        "A shop of 4 arms, 60 steps, delays, floor 5%",
    }
    assert report.ranks == {}


def test_plot_is_saved(report: CalibrationReport, tmp_path: Path) -> None:
    path = save_plot(report, tmp_path / "calibration.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    ranked = CalibrationReport(rows=report.rows, curve=report.curve, ranks={"rate": np.linspace(0, 1, 60)})
    assert save_plot(ranked, tmp_path / "ranked.svg").stat().st_size > 0
