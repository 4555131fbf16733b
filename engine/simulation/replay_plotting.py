"""The replay's plot. Needs the ``models`` extra, which brings matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.simulation.replay import ReplayResult, ReplayStep


def save_replay_plot(steps: Sequence[ReplayStep], result: ReplayResult, path: Path, *, arms: Sequence[str]) -> Path:
    """Draw each arm's probability and the mean reward over the replay; return where it was saved.

    Parameters
    ----------
    steps, result : of one replay
    path : ending in .png, .svg or .pdf
    arms : their names, k; a legend is drawn for up to 12
    """
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(14.0, 5.0), layout="constrained")
    shares, earned = figure.subplots(1, 2)
    units = [step.units for step in steps]
    for arm, name in enumerate(arms):
        shares.step(units, [step.probabilities[arm] for step in steps], where="post", label=name)
    shares.set(xlabel="units of the log", ylabel="probability", title="What the policy would have done")
    if len(arms) <= 12:  # more would hide the plot
        shares.legend()
    known = [(step.units, step.mean_reward) for step in steps if step.mean_reward is not None]
    earned.plot([unit for unit, _ in known], [mean for _, mean in known], label="replayed so far")
    for name, interval in (("logged", result.logged), ("doubly robust", result.doubly_robust.value)):
        line = earned.axhline(
            interval.point, linestyle="--", label=name, color="0.5" if name == "logged" else "tab:red"
        )
        earned.axhspan(interval.low, interval.high, alpha=0.15, color=line.get_color())
    earned.set(xlabel="units of the log", ylabel="mean reward a unit", title="What it would have earned")
    earned.legend()
    figure.savefig(path)
    return path
