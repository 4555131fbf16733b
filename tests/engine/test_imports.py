"""What the engine brings into a process."""

import subprocess
import sys

import pytest

HEAVY = ("pymc", "arviz", "nutpie", "sklearn", "matplotlib", "pandas", "scipy.stats")


@pytest.mark.parametrize(
    "module",
    [
        "engine",
        "engine.bayesian",
        "engine.bayesian.beta_binomial",
        "engine.bayesian.hurdle",
        "engine.bayesian.pooling",
        "engine.simulation.calibration",
    ],
)
def test_nothing_heavy_is_imported(module: str) -> None:
    script = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
