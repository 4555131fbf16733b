"""The replay's plot. Needs the ``models`` extra, which brings matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.simulation.replay import ReplayResult, ReplayStep

NAMED = 6
"""Arms that have a colour and a name: those that got most; the others are grey."""

_GREY = "0.8"


def save_replay_plot(steps: Sequence[ReplayStep], result: ReplayResult, path: Path, *, arms: Sequence[str]) -> Path:
    """Draw what the policy would have done, what it was taught, and what it would have earned; return where.

    Parameters
    ----------
    steps, result : of one replay
    path : ending in .png, .svg or .pdf
    arms : their names, k
    """
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(15.0, 4.8), layout="constrained")
    shares, course, values = figure.subplots(1, 3, width_ratios=[1.25, 1.0, 0.9])
    _draw_shares(shares, steps, arms)
    _draw_course(course, steps, result)
    _draw_values(values, result)
    for axis in (shares, course, values):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    return path


def _draw_shares(axis: Any, steps: Sequence[ReplayStep], arms: Sequence[str]) -> None:
    edges = [0, *(step.units for step in steps)]
    shares = np.array([step.probabilities for step in steps])
    widths = np.diff(edges)
    ranked: list[int] = np.argsort(-(shares * widths[:, None]).sum(axis=0), kind="stable").tolist()
    for arm in reversed(ranked[NAMED:]):
        axis.stairs(shares[:, arm], edges, baseline=None, color=_GREY, linewidth=0.6)
    for place, arm in reversed(list(enumerate(ranked[:NAMED]))):
        axis.stairs(shares[:, arm], edges, baseline=None, color=f"C{place}", linewidth=1.6, label=arms[arm])
    if len(arms) > NAMED:
        axis.plot([], [], color=_GREY, label=f"{len(arms) - NAMED} others")
    axis.axhline(1.0 / len(arms), color="0.4", linestyle=":", linewidth=1.0, label="even split")
    handles, labels = axis.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda at: [*(arms[arm] for arm in ranked), *labels].index(labels[at]))
    axis.legend([handles[at] for at in order], [labels[at] for at in order], frameon=False, fontsize="small")
    axis.set(xlabel="units of the log", ylabel="probability", title="What the policy would have done")
    axis.set(xlim=(0, edges[-1]), ylim=(0.0, None))


def _draw_course(axis: Any, steps: Sequence[ReplayStep], result: ReplayResult) -> None:
    known = [(step.units, step.mean_reward) for step in steps if step.mean_reward is not None]
    axis.plot([unit for unit, _ in known], [mean for _, mean in known], color="C0", label="replayed so far")
    axis.axhline(result.logged.point, color="0.4", linestyle="--", linewidth=1.0, label="logged, in all")
    axis.legend(frameon=False, fontsize="small")
    axis.set(xlabel="units of the log", ylabel="mean reward a unit", title="What taught it")
    axis.set(xlim=(0, steps[-1].units), ylim=(min(0.0, *(mean for _, mean in known)), None))


def _draw_values(axis: Any, result: ReplayResult) -> None:
    rows = (
        (f"logged\n{result.units:,} units", result.logged, "0.4"),
        (f"replayed\n{result.kept:,} units", result.replayed, "C0"),
        *(
            (f"{name}\n{one.effective_sample_size:,.0f} effective units", one.value, "C3")
            for name, one in (
                ("IPS", result.ips),
                ("self-normalised", result.self_normalised),
                ("doubly robust", result.doubly_robust),
            )
        ),
    )
    for height, (_, interval, colour) in enumerate(reversed(rows)):
        axis.plot([interval.low, interval.high], [height, height], color=colour, linewidth=2.0)
        axis.plot([interval.point], [height], marker="o", color=colour)
    axis.axvline(result.logged.point, color="0.4", linestyle="--", linewidth=1.0)
    axis.set_yticks(range(len(rows)), [name for name, _, _ in reversed(rows)], fontsize="small")
    axis.set(xlabel="mean reward a unit", title="What it would have earned", ylim=(-0.6, len(rows) - 0.4))
