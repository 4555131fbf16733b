"""The calibration's plot. Needs the ``models`` extra, which brings matplotlib."""

from pathlib import Path
from typing import Any

from engine.simulation.promises import CalibrationReport, CalibrationRow


def save_plot(report: CalibrationReport, path: Path) -> Path:
    """Draw shares against promises, the curve of P(best), and ranks where there are any; return where it was saved.

    Parameters
    ----------
    report : of ``calibrate``
    path : ending in .png, .svg or .pdf
    """
    from matplotlib.figure import Figure

    panels = 3 if report.ranks else 2
    figure: Any = Figure(figsize=(8.0 * panels, 0.45 * len(report.rows) + 1.5), layout="constrained")
    axes = figure.subplots(1, panels)
    _draw_rows(axes[0], report.rows)
    _draw_curve(axes[1], report)
    if report.ranks:
        _draw_ranks(axes[2], report)
    figure.savefig(path)
    return path


def _draw_rows(axis: Any, rows: tuple[CalibrationRow, ...]) -> None:
    for height, row in enumerate(reversed(rows)):
        low, high = row.interval
        colour = {None: "0.5", True: "tab:green", False: "tab:red"}[row.holds]
        axis.plot([low, high], [height, height], color=colour)
        axis.plot(row.share, height, "o", color=colour)
        if row.promised is not None:
            axis.plot(row.promised, height, "|", color="black", markersize=14)
    axis.set_yticks(range(len(rows)), [f"{row.name}  [{row.section}]" for row in reversed(rows)], fontsize=6)
    axis.set_xlim(0.0, 1.0)
    axis.set_title("Shares with 95 % intervals; bars are what is promised", fontsize=9)


def _draw_curve(axis: Any, report: CalibrationReport) -> None:
    axis.plot([0.0, 1.0], [0.0, 1.0], color="0.7")
    axis.plot(report.curve.predicted, report.curve.realised, "o-")
    axis.set_xlabel("P(best), predicted")
    axis.set_ylabel("share in which it was best")
    axis.set_title(f"Expected calibration error {report.curve.expected_error:.4f}", fontsize=9)


def _draw_ranks(axis: Any, report: CalibrationReport) -> None:
    axis.hist(list(report.ranks.values()), bins=10, range=(0.0, 1.0), label=list(report.ranks))
    axis.set_xlabel("rank of the truth among posterior draws")
    axis.legend()
