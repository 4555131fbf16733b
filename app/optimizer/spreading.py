"""scikit-learn's own parallel work over a cluster, where a fit runs on one."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any


def over_cluster() -> AbstractContextManager[object]:
    """Let joblib send trees to the other workers of the Dask cluster that this code runs on; elsewhere nothing."""
    distributed: Any = sys.modules.get("distributed")
    if distributed is None or not _on_worker(distributed):
        return nullcontext()
    import joblib as untyped  # pyright: ignore[reportMissingTypeStubs]  # it has none

    joblib: Any = untyped
    return joblib.parallel_config(backend="dask")


def _on_worker(distributed: Any) -> bool:
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True
