"""The dashboard at `/`: built files, served as they lie, and its page at each of its addresses.

Names of assets carry a hash of what is in them, so a browser may keep them for ever; the page names the assets of its
build, so it is asked for each time. What is built is looked up at each request: a new build needs no new start.
"""

import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).parent / "static"
BUILT = STATIC / "dashboard"
UNBUILT = STATIC / "unbuilt.html"
PAGES = ("campaigns", "tests", "recommendations")
"""First parts of the dashboard's own addresses; any other address is not its."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}
ASKED_EACH_TIME = {**HEADERS, "Cache-Control": "no-cache"}
KEPT = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
ASSET = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}")
"""Names of built files; what is longer, or holds more, asks the file system nothing."""
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


def dashboard_routes(built: Path = BUILT) -> list[BaseRoute]:
    """Return the dashboard's doors."""

    async def page(request: Request) -> Response:
        index = built / "index.html"
        return _answer(request, index if index.is_file() else UNBUILT, ASKED_EACH_TIME)

    async def asset(request: Request) -> Response:
        path = built / "assets" / request.path_params["name"]
        known = ASSET.fullmatch(path.name) is not None and path.is_file()
        return _answer(request, path, KEPT) if known else Response("Not found", 404, headers=HEADERS)

    own = [path for name in PAGES for path in (f"/{name}", f"/{name}/{{rest:path}}")]
    return [*(Route(path, page) for path in ("/", *own)), Route("/assets/{name}", asset)]


def _answer(request: Request, path: Path, headers: Mapping[str, str]) -> Response:
    sent, encoding = _smallest(path, request.headers.get("accept-encoding", ""))
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    response = FileResponse(sent, headers={**headers, **encoding}, media_type=media_type, stat_result=sent.stat())
    if request.headers.get("if-none-match") == response.headers["etag"]:
        return Response(status_code=304, headers={**headers, "ETag": response.headers["etag"]})
    return response


def _smallest(path: Path, accepted: str) -> tuple[Path, dict[str, str]]:
    """Return the best of what the build made of a file that the client takes, and the header that says so."""
    names = {entry.partition(";")[0].strip().lower() for entry in accepted.split(",") if "q=0" not in entry.split(";")}
    for name, ending in _ENCODINGS:
        packed = path.with_name(path.name + ending)
        if name in names and packed.is_file():
            return packed, {"Content-Encoding": name}
    return path, {}
