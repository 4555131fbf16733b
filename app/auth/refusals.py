"""What a door answers when it refuses."""

import math

from starlette.responses import JSONResponse
from starlette.types import Scope

from app.auth.principals import Permission, Principal
from app.errors import DomainError, ErrorCode, RateLimited, Unauthenticated, Unavailable

STATUS = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.ALREADY_EXISTS: 409,
    ErrorCode.INVALID_INPUT: 400,
    ErrorCode.INVALID_TRANSITION: 409,
    ErrorCode.NOT_ALLOWED: 403,
    ErrorCode.NOT_ENOUGH_DATA: 409,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNAVAILABLE: 503,
}
"""The HTTP status of each code, at every door but the graph's own (which answers 200 and errors)."""


def refuse(error: DomainError) -> JSONResponse:
    """Return the answer: `code` and `message`, and the same as GraphQL's `errors` so that its clients understand."""
    entry = {"message": error.message, "extensions": {"code": error.code.value}}
    body = {"code": error.code.value, "message": error.message, "errors": [entry]}
    return JSONResponse(body, status_code=STATUS[error.code], headers=_headers(error))


def principal_of(scope: Scope, permission: Permission) -> Principal:
    """Return who sent this request; raise Unauthenticated or NotAllowed unless it may do this."""
    principal = scope.get("state", {}).get("principal")
    if principal is None:
        raise Unauthenticated("This needs a key: send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.")
    principal.require(permission)
    return principal


def _headers(error: DomainError) -> dict[str, str]:
    if isinstance(error, (RateLimited, Unavailable)):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    return {"WWW-Authenticate": 'Bearer realm="winnow"'} if isinstance(error, Unauthenticated) else {}
