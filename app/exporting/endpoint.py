"""`GET /v1/export/tests/{key}/{what}.{csv|parquet}`: a file about a test, sent while it is read."""

from collections.abc import Sequence
from urllib.parse import quote

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from app.auth.principals import Permission
from app.auth.refusals import principal_of
from app.errors import DomainError, NotFound
from app.exporting.tests import Export, TestExporting, What
from app.exporting.writing import MEDIA_TYPES, FileFormat
from app.store.database import is_timeout, is_unavailable, timed_out, unavailable

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
        return StreamingResponse(export.content, media_type=MEDIA_TYPES[file_format], headers=headers)

    async def _begun(self, key: str, what: What, file_format: FileFormat) -> Export:
        try:
            return await self._exporting.export(key, what, file_format=file_format)
        except DomainError:
            raise
        except Exception as error:
            if is_timeout(error):
                raise timed_out() from error
            if is_unavailable(error):
                raise unavailable(error) from error
            raise


def export_routes(exporting: TestExporting, middleware: Sequence[Middleware] = ()) -> list[BaseRoute]:
    """Return the routes of the door, each behind what it is to pass."""
    return [Route(PATH, ExportEndpoint(exporting).get, methods=["GET"], middleware=middleware)]


def _wanted(file: str) -> tuple[What, FileFormat]:
    what, _, suffix = file.partition(".")
    if what not in What or suffix not in FileFormat:
        raise NotFound(f"There are {', '.join(What)}, each as .{' or .'.join(FileFormat)}: ask for one of these.")
    return What(what), FileFormat(suffix)
