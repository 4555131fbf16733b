"""What the web process brings into memory."""

import subprocess
import sys

HEAVY = (
    "pymc",
    "pytensor",
    "arviz",
    "nutpie",
    "numba",
    "xarray",
    "sklearn",
    "matplotlib",
    "pandas",
    "dask",
    "distributed",
    "joblib",
    "skops",
)


def test_nothing_heavy_is_imported_where_requests_are_served() -> None:
    script = f"import sys, app.asgi; app.asgi.create_app; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
