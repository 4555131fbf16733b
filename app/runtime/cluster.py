"""Heavy work on a Dask cluster, through the same port; and which of the ways there are the settings name.

The workers of the cluster run what Winnow runs: the same release, installed with its `models` and `cluster` extras.
What they answer is unpickled here, so that a cluster is trusted as this machine is: keep its ports to Winnow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from app.errors import Unavailable
from app.runtime.compute import Compute, ProcessCompute
from app.runtime.settings import Settings

CONNECT_SECONDS = 10.0
MOST_BYTES = "1 GB"
"""Work whose arguments take more is done with a warning."""
ATTEMPTS = 3
"""A piece of work whose worker died is given to another so often."""
MISSING = (
    "COMPUTE_SCHEDULER names a Dask cluster, and Dask is not installed here: install Winnow with its `cluster` extra,"
    " pip install 'winnow[cluster]', or unset COMPUTE_SCHEDULER."
)


def compute_of(settings: Settings) -> Compute:
    """Return where heavy work is done: on the cluster that is named, else in processes of this machine."""
    if settings.compute_scheduler is None:
        return ProcessCompute(settings.compute_workers)
    return DaskCompute(settings.compute_scheduler)


class DaskCompute:
    """Work on the cluster of one scheduler, such as tcp://10.0.0.5:8786. It is looked for at the first piece of work.

    A cluster that does not answer is Unavailable, so that a job tries again later.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def run[**P, R](self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` returns on a worker; raise Unavailable where the cluster or its workers are gone."""
        distributed, client = _distributed(), await self._opened()
        future: Any = None
        try:
            with _dask_config().set({"distributed.admin.large-graph-warning-threshold": MOST_BYTES}):
                # sent with the task, not scattered before it: what one worker holds dies with it
                future = client.submit(_call, function, args, kwargs, pure=False, retries=ATTEMPTS - 1)
            return await future
        except (distributed.KilledWorker, distributed.client.FutureCancelledError, OSError) as error:
            await self._forget(client)
            raise Unavailable(f"The cluster at {self._address} lost the work ({error}): try again.") from error
        finally:
            if future is not None:
                future.release()  # ends what still runs for somebody who waits no more

    async def close(self) -> None:
        """Leave the cluster; it stays."""
        if self._client is not None:
            await self._forget(self._client)

    async def _opened(self) -> Any:
        distributed = _distributed()
        async with self._opening:
            if self._client is None or self._client.status != "running":
                try:
                    self._client = await distributed.Client(
                        self._address, asynchronous=True, timeout=CONNECT_SECONDS, set_as_default=False
                    )
                except (OSError, TimeoutError) as error:
                    raise Unavailable(
                        f"No Dask scheduler answers at {self._address} ({error}): see that it runs, or unset"
                        " COMPUTE_SCHEDULER to work on this machine."
                    ) from error
        return self._client

    async def _forget(self, client: Any) -> None:
        self._client = None
        with suppress(OSError, TimeoutError):
            await client.close()


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def _dask_config() -> Any:
    import dask.config as untyped

    return untyped


def _distributed() -> Any:
    try:
        import distributed as untyped
    except ModuleNotFoundError as error:
        raise Unavailable(MISSING) from error
    return untyped
