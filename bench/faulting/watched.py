"""`winnow serve` as it is, whose web process also tells how many tasks and objects it has.

python -m bench.faulting.watched serve --port N --workers M
"""

import asyncio
import gc
import sys
from collections import Counter
from typing import Any

import orjson
from starlette.responses import Response

PATH = "/_watched"


class Watched:
    """The application, and beside it a door that tells what the process holds."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.finish = application.finish

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            if scope["query_string"] == b"types":
                await Response(orjson.dumps(types()), media_type="application/json")(scope, receive, send)
                return
            held = {"tasks": len(asyncio.all_tasks()), "objects": len(gc.get_objects())}
            await Response(orjson.dumps(held), media_type="application/json")(scope, receive, send)
            return
        await self._application(scope, receive, send)


def types() -> dict[str, int]:
    """Return how many objects of each type there are once garbage is gone; it costs a search of all."""
    gc.collect()
    return dict(Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects()))


def create_app() -> Watched:
    """Return the watched application."""
    from app.asgi import create_app as create

    return Watched(create())


def main(arguments: list[str]) -> None:
    """Do as `winnow serve` does."""
    from app.commands.serve import serve
    from app.runtime.logging import configure_logging
    from app.runtime.settings import Settings

    settings = Settings.load(port=int(arguments[2]), workers=int(arguments[4]))
    configure_logging(settings)
    serve(settings, application="bench.faulting.watched:create_app")


if __name__ == "__main__":
    main(sys.argv[1:])
