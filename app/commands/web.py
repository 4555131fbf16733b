"""One web process: uvicorn on a socket that `winnow serve` opened. Started by it, not by hand.

    python -m app.commands.web APPLICATION SOCKET READY

APPLICATION is the import string of a factory; SOCKET and READY are inherited file descriptors: the listening socket,
and a pipe into which one byte is written once requests are served.
"""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import override

import uvicorn
from starlette.types import ASGIApp
from uvicorn.importer import import_from_string

from app.commands.connections import BoundedProtocol, Patience, look_over
from app.commands.websockets import FramingProtocol
from app.runtime.logging import configure_logging
from app.runtime.settings import Settings
from app.runtime.tracing import tracing

READY = b"r"
COLLECTING = (20_000, 20, 50)
"""Objects made before the young are searched, and how many searches before the older. Measured on nested answers: 2.1
ms of CPU each with Python's own (2,000, 10, 10), 1.7 with these."""


TICKS_A_SECOND = 10
"""How often uvicorn calls `on_tick`."""
IDLE_SECONDS = 75
"""How long a connection is kept between requests: longer than clients and proxies do, so that no request meets
its end. httpx gives up after 5 s, Node after 5, load balancers after 60."""
LAST_SECONDS, LAST_LOOKS = 0.3, 6
"""How long a process that stops still answers, telling clients that their connection closes."""


class AnnouncingServer(uvicorn.Server):
    """Uvicorn, saying when it is ready, and not waiting for clients for ever."""

    def __init__(self, config: uvicorn.Config, ready: int, *, patience: Patience, finish: Callable[[], None]) -> None:
        super().__init__(config)
        self._patience = patience
        self._ready = ready
        self._finish = finish

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        keep_what_stands()
        if self.started:
            os.write(self._ready, READY)
        os.close(self._ready)

    @override
    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_A_SECOND == 0:
            look_over(self.server_state.connections, self._patience)
        return await super().on_tick(counter)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._answer_last(sockets or [])
        self._finish()
        await super().shutdown(sockets)

    async def _answer_last(self, sockets: Sequence[socket.socket]) -> None:
        """Take no more connections; answer what is on its way on those that seem idle, and say that they close."""
        for listening in (*self.servers, *sockets):
            listening.close()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for _ in range(LAST_LOOKS):  # each lets the loop read what has come, however busy the machine
            await asyncio.sleep(LAST_SECONDS / LAST_LOOKS)


def server_config(application: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves the application."""
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=BoundedProtocol,
        ws=FramingProtocol,
        ws_per_message_deflate=False,  # 64 kB and a compression a connection, for messages of 2 kB
        ws_max_size=settings.max_request_bytes,
        log_config=None,  # structlog has it
        access_log=False,  # written with more in it by the application
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=round(settings.shutdown_seconds),
    )


def keep_what_stands() -> None:
    """Leave what the start has made out of the search for garbage, and search less often: answers are soon gone."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)


def main(arguments: list[str]) -> None:
    """Serve until told to stop."""
    application, listening, ready = arguments
    settings = Settings.load()
    configure_logging(settings)
    served = import_from_string(application)()
    finish = getattr(served, "finish", lambda: None)
    patience = Patience(head_seconds=settings.head_seconds, slow_seconds=settings.slow_seconds)
    server = AnnouncingServer(server_config(served, settings), int(ready), patience=patience, finish=finish)
    with tracing(settings):
        server.run(sockets=[socket.socket(fileno=int(listening))])
    if not server.started:
        raise SystemExit(3)


if __name__ == "__main__":
    main(sys.argv[1:])
