import subprocess
import sys

import pytest

EVERYTHING_LIVE = (
    "engine, engine.summaries, engine.decision, engine.frequentist.comparing, engine.frequentist.cuped, "
    "engine.frequentist.guardrail, engine.frequentist.sample_ratio, engine.frequentist.winsorising, "
    "engine.sequential.comparing, engine.power.achieved, engine.power.detectable_effect"
)


@pytest.mark.parametrize("heavy", ["pymc", "sklearn", "arviz", "scipy.stats", "pandas", "matplotlib"])
def test_the_live_page_imports_nothing_heavy(heavy: str):
    code = f"import sys, {EVERYTHING_LIVE}; print({heavy!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_check_would_notice():
    code = "import sys, scipy.stats; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
