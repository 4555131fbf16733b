"""`GET /v1/export/tests/{key}/{what}.{csv|parquet}`: a file about a test, sent while it is read."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import override
from urllib.parse import quote

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from app.auth.principals import Permission
from app.auth.refusals import principal_of
from app.errors import DomainError, NotFound
from app.exporting.tests import Export, TestExporting, What
from app.exporting.writing import MEDIA_TYPES, FileFormat
from app.store.database import refusal_of

PATH = "/v1/export/tests/{key}/{file}"


class ExportEndpoint:
    """The door for files."""

    def __init__(self, exporting: TestExporting) -> None:
        self._exporting = exporting

    async def get(self, request: Request) -> Response:
        """Send one file."""
        principal_of(request.scope, Permission.EXPORT)
        what, file_format = _wanted(request.path_params["file"])
        export = await self._begun(request.path_params["key"], what, file_format)
        headers = {
            "Content-Disposition": f"attachment; filename=\"{export.name}\"; filename*=UTF-8''{quote(export.name)}",
            "Cache-Control": "no-store",
        }
        return _File(export.content, media_type=MEDIA_TYPES[file_format], headers=headers)

    async def _begun(self, key: str, what: What, file_format: FileFormat) -> Export:
        try:
            return await self._exporting.export(key, what, file_format=file_format)
        except DomainError:
            raise
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            raise refusal from error


class _File(StreamingResponse):
    """A file on its way. Where the client leaves, reading ends in order: nothing is cancelled within a transaction."""

    def __init__(self, content: AsyncGenerator[bytes], *, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._content = content

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(self.listen_for_disconnect(receive), name="export-client")
        try:
            async with aclosing(self._content) as content:
                self.body_iterator = _until(gone, content)
                await self.stream_response(send)
        finally:
            gone.cancel()


async def _until(gone: asyncio.Task[None], content: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async for part in content:
        if gone.done():
            return
        yield part


def export_routes(exporting: TestExporting, middleware: Sequence[Middleware] = ()) -> list[BaseRoute]:
    """Return the routes of the door, each behind what it is to pass."""
    return [Route(PATH, ExportEndpoint(exporting).get, methods=["GET"], middleware=middleware)]


def _wanted(file: str) -> tuple[What, FileFormat]:
    what, _, suffix = file.partition(".")
    if what not in What or suffix not in FileFormat:
        raise NotFound(f"There are {', '.join(What)}, each as .{' or .'.join(FileFormat)}: ask for one of these.")
    return What(what), FileFormat(suffix)
