"""`winnow calibrate`: what the statistics promise, against simulated worlds whose truth is known."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.errors import InvalidInput
from engine.errors import EngineError
from engine.simulation.calibration import calibrate
from engine.simulation.promises import CalibrationReport, CalibrationRow, Promise

PLOT_FORMATS = (".png", ".svg", ".pdf")
VERDICTS = {True: "[green]kept[/]", False: "[red]broken[/]", None: ""}


def command(
    tests: Annotated[int, typer.Option(min=100, max=100_000, help="Simulated tests a row.")] = 2000,
    looks: Annotated[int, typer.Option(min=2, max=1000, help="Looks at each test that is peeked at.")] = 28,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Confidence level of intervals and tests.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is simulated.")] = 20261124,
    sampler_fits: Annotated[
        int, typer.Option(min=0, max=10_000, help="Fits of the PyMC model to calibrate it too; 50 or more, 0 for none.")
    ] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw the report to this .png, .svg or .pdf file.")] = None,
) -> None:
    """Simulate tests of known truth, analyse them, and print what was promised beside what happened.

    False calls at any of the looks, interval coverage, P(best), inference after bandits; exits with 1 where a promise
    is broken.
    """
    if plot is not None and plot.suffix.lower() not in PLOT_FORMATS:
        raise InvalidInput(f"A plot is one of {', '.join(PLOT_FORMATS)}, not {plot.name!r}: rename it.")
    report = _calibrated(tests=tests, looks=looks, level=level, seed=seed, sampler_fits=sampler_fits)
    console = Console()
    console.print(report_table(report))
    error = report.curve.expected_error
    console.print(
        f"P(best) predicted against realised: mean distance {error:.4f} over {len(report.curve.predicted)} bins."
    )
    for quantity, ranks in report.ranks.items():
        console.print(f"Simulation-based calibration of {quantity}: {ranks.size} ranks, mean {ranks.mean():.3f} (0.5).")
    if plot is not None:
        _draw(report, plot)
    if not report.holds:
        raise typer.Exit(1)


def report_table(report: CalibrationReport) -> Table:
    """Return the report as a table, a row a promise."""
    table = Table("", "promised", "happened", "95 % interval", "of", "", title="Calibration")
    section = None
    for row in report.rows:
        if row.section != section:
            section = row.section
            table.add_section()
            table.add_row(f"[bold]{section}[/]")
        table.add_row(
            row.name, _promised(row), f"{row.share:.2%}", _interval(row), f"{row.trials:,}", VERDICTS[row.holds]
        )
    return table


def _promised(row: CalibrationRow) -> str:
    if row.promised is None:
        return "nothing"
    return f"{'at most ' if row.promise is Promise.AT_MOST else ''}{row.promised:.2%}"


def _interval(row: CalibrationRow) -> str:
    low, high = row.interval
    return f"{low:.2%} to {high:.2%}"


def _calibrated(*, tests: int, looks: int, level: float, seed: int, sampler_fits: int) -> CalibrationReport:
    columns = (SpinnerColumn(), TextColumn("simulating"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task("simulating", total=None)
        try:
            rng = np.random.default_rng(seed)
            return calibrate(rng, tests=tests, looks=looks, level=level, sampler_fits=sampler_fits)
        except EngineError as error:
            raise InvalidInput(str(error)) from error
        except ImportError as error:
            raise _without_models(error) from error


def _draw(report: CalibrationReport, path: Path) -> None:
    from engine.simulation.plotting import save_plot

    try:
        typer.echo(f"Drawn to {save_plot(report, path)}.", err=True)
    except ImportError as error:
        raise _without_models(error) from error
    except OSError as error:
        raise InvalidInput(f"The plot cannot be written ({error}): name a file in a folder that exists.") from error


def _without_models(error: ImportError) -> InvalidInput:
    return InvalidInput(f"This needs the `models` extra ({error}): install it with `pip install 'winnow[models]'`.")
