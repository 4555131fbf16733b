"""`winnow replay`: what another policy would have done and earned, over a log."""

import math
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from app.abtests.replaying import Replayable, logged_test, open_bandit_log
from app.commands.options import DatabaseUrl, DataDir
from app.errors import InvalidInput, NotEnoughData
from app.runtime.settings import Settings
from app.store.abtests import TestStore
from app.store.opening import run_with_database
from app.store.policies import PolicyStore
from engine.bandits.epsilon_greedy import EpsilonGreedy
from engine.bandits.policy import Policy
from engine.bandits.thompson import BetaThompson, NormalThompson, TopTwo
from engine.bandits.ucb import KLUCB
from engine.effects import IntervalEstimate
from engine.errors import EngineError, NoSupport
from engine.simulation.replay import ReplayResult, ReplayStep, replay_steps, summarise_replay
from engine.simulation.replay_plotting import save_replay_plot

PLOT_FORMATS = (".png", ".svg", ".pdf")


class PolicyName(StrEnum):
    """The policies that learn from totals."""

    THOMPSON = "thompson"
    TOP_TWO_THOMPSON = "top-two-thompson"
    UCB = "ucb"
    EPSILON_GREEDY = "epsilon-greedy"


def command(
    log: Annotated[str, typer.Argument(help="A test's key, or the path of an Open Bandit file.")],
    policy: Annotated[PolicyName, typer.Option(help="The policy to run over it.")] = PolicyName.THOMPSON,
    batch: Annotated[int | None, typer.Option(min=1, help="Units between two steps; a fiftieth of the log.")] = None,
    floor: Annotated[float | None, typer.Option(min=0.0, max=0.5, help="Least share of an arm; 0.2 / arms.")] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Decides which units teach the policy.")] = 20261124,
    plot: Annotated[Path | None, typer.Option(help="Draw the course to this .png, .svg or .pdf file.")] = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Run a policy over a logged test, or over Open Bandit, as if it had been there.

    Prints what it would have earned a unit, replayed and by importance weights, with intervals and effective sample
    sizes, beside what was logged; refuses where the log gives no support. Where a log has the probability of the logged
    arm alone, as Open Bandit's folder `bts`, units teach the policy by their importance weights.
    """
    if plot is not None and plot.suffix.lower() not in PLOT_FORMATS:
        raise InvalidInput(f"A plot is one of {', '.join(PLOT_FORMATS)}, not {plot.name!r}: rename it.")
    read = _read(log, Settings.load(database_url=database_url, data_dir=data_dir))
    units = len(read.log.actions)
    try:
        steps = _stepped(read, policy, batch=batch or math.ceil(units / 50), floor=floor, seed=seed)
        result = summarise_replay(steps, read.log, level=level, conversions=read.conversions)
    except NoSupport as refusal:
        raise NotEnoughData(str(refusal)) from refusal
    except EngineError as refusal:
        raise InvalidInput(str(refusal)) from refusal
    Console().print(result_table(result, policy))
    if plot is not None:
        _draw(steps, result, plot, read)


def policy_of(name: PolicyName, read: Replayable) -> Policy:
    """Return the engine's policy for a log's rewards."""
    thompson: Policy = BetaThompson() if read.conversions else NormalThompson()
    match name:
        case PolicyName.THOMPSON:
            return thompson
        case PolicyName.TOP_TWO_THOMPSON:
            return TopTwo(thompson=thompson)
        case PolicyName.UCB:
            return KLUCB(highest_reward=max(1.0 if read.conversions else float(read.log.rewards.max()), 1e-6))
        case PolicyName.EPSILON_GREEDY:
            return EpsilonGreedy()


def result_table(result: ReplayResult, policy: PolicyName) -> Table:
    """Return the result as a table, a row an estimate."""
    table = Table(
        "", "value a unit", "interval", "effective units", title=f"{policy} over {result.units:,} logged units"
    )
    table.add_row("logged", *_cells(result.logged), f"{result.units:,}")
    table.add_row("replayed", *_cells(result.replayed), f"{result.kept:,}")
    weighted = (
        ("IPS", result.ips),
        ("self-normalised", result.self_normalised),
        ("doubly robust", result.doubly_robust),
    )
    for name, estimate in weighted:
        table.add_row(name, *_cells(estimate.value), f"{estimate.effective_sample_size:,.0f}")
    return table


def _cells(interval: IntervalEstimate) -> tuple[str, str]:
    return f"{interval.point:.4g}", f"{interval.low:.4g} to {interval.high:.4g}"


def _read(log: str, settings: Settings) -> Replayable:
    path = Path(log)
    if path.is_file():
        return open_bandit_log(path)
    return run_with_database(
        settings,
        lambda database: logged_test(
            log, tests=TestStore(database), policies=PolicyStore(database), at=datetime.now(UTC)
        ),
    )


def _stepped(read: Replayable, policy: PolicyName, *, batch: int, floor: float | None, seed: int) -> list[ReplayStep]:
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TextColumn("units"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("units", total=len(read.log.actions))
        steps: list[ReplayStep] = []
        rng = np.random.default_rng(seed)
        for step in replay_steps(policy_of(policy, read), read.log, batch=batch, rng=rng, floor=floor):
            steps.append(step)
            progress.update(task, completed=step.units)
    return steps


def _draw(steps: list[ReplayStep], result: ReplayResult, path: Path, read: Replayable) -> None:
    try:
        save_replay_plot(steps, result, path, arms=read.arms)
    except ImportError as error:
        raise InvalidInput("Plots need matplotlib: install Winnow with its `models` extra.") from error
    typer.echo(f"Drawn to {path}")
