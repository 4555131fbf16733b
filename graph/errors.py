"""How refusals reach clients: a mutation's `errors`, a query's top-level error, or a mask over the unforeseen."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError

from app.errors import DomainError, DomainErrors, ErrorCode, InvalidInput, NotEnoughData, RateLimited, Unavailable
from app.store.database import is_too_large, is_unstorable, refusal_of
from engine.errors import EngineError
from engine.errors import InvalidInput as EngineInvalidInput
from graph.fields import reading

INTERNAL = "INTERNAL_ERROR"

_log = structlog.stdlib.get_logger("winnow.graph")


@strawberry.enum(description="Why something was refused.")
class UserErrorCode(Enum):
    """The contract's codes; each is also a DomainError's."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    INVALID_INPUT = "INVALID_INPUT"
    INVALID_TRANSITION = "INVALID_TRANSITION"
    NOT_ALLOWED = "NOT_ALLOWED"
    NOT_ENOUGH_DATA = "NOT_ENOUGH_DATA"


_USER_CODES = frozenset(UserErrorCode.__members__)


@dataclass(frozen=True, slots=True)
class UserProblem:
    """A DomainError as data: an exception among a field's values would be raised."""

    code: UserErrorCode
    message: str
    path: Sequence[str]


@strawberry.type(description="One thing wrong with what was asked for.")
class UserError:
    """The row is a UserProblem."""

    code: UserErrorCode = reading("The kind of problem.")
    message: str = reading("What is wrong and what to do, in words.")
    path: list[str] = reading("The input's field at fault, outermost first; empty where no single field is.")


def problems_of(error: Exception) -> Sequence[DomainError]:
    """Return the refusals in an error; none where it is unforeseen."""
    if isinstance(error, DomainErrors):
        return error.problems
    if isinstance(error, DomainError):
        return (error,)
    if isinstance(error, EngineError):
        return (InvalidInput(str(error)) if isinstance(error, EngineInvalidInput) else NotEnoughData(str(error)),)
    if is_unstorable(error):
        return (InvalidInput("A text has a NUL character, which no text here may have: leave it out."),)
    if is_too_large(error):
        return (InvalidInput("What was asked for adds up to more than can be told: ask for a narrower window."),)
    refusal = refusal_of(error)
    return () if refusal is None else (refusal,)


def user_problems(error: Exception) -> Sequence[UserProblem]:
    """Return the refusals as a payload carries them; raise the error itself where it cannot."""
    problems = problems_of(error)
    if not problems or any(problem.code.value not in _USER_CODES for problem in problems):
        raise error
    return [UserProblem(UserErrorCode(one.code.value), one.message, list(one.path)) for one in problems]


def format_error(error: GraphQLError) -> dict[str, Any]:
    """Return an error as clients may see it: refusals and faulty requests in full, anything else masked and logged."""
    original = _original(error)
    if original is None:
        return _formatted(error, error.message, {"code": ErrorCode.INVALID_INPUT.value, **(error.extensions or {})})
    problems = problems_of(original)
    if problems:
        return _formatted(error, " ".join(problem.message for problem in problems), _extensions(problems[0]))
    return _masked(error, original)


def refusal(problem: DomainError) -> dict[str, Any]:
    """Return a refusal of a whole request."""
    return {"message": problem.message, "extensions": _extensions(problem)}


def refusals(error: Exception) -> list[dict[str, Any]]:
    """Return why a whole request failed: its refusals, or anything else masked and logged."""
    return [refusal(one) for one in problems_of(error)] or [_masked(GraphQLError(""), error)]


def _original(error: GraphQLError) -> Exception | None:
    original = error.original_error
    while isinstance(original, GraphQLError):
        original = original.original_error
    return original


def _extensions(problem: DomainError) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": problem.code.value}
    if problem.path:
        extensions["path"] = list(problem.path)
    if isinstance(problem, (RateLimited, Unavailable)):
        extensions["retryAfter"] = problem.retry_after
    return extensions


def _masked(error: GraphQLError, original: Exception) -> dict[str, Any]:
    error_id = secrets.token_hex(8)
    _log.error("unforeseen error", error_id=error_id, path=error.path, exc_info=original)
    message = f"Internal error {error_id}: tell whoever runs Winnow, whose log has the details."
    return _formatted(error, message, {"code": INTERNAL, "id": error_id})


def _formatted(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    formatted: dict[str, Any] = {"message": message}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        formatted["path"] = error.path
    formatted["extensions"] = extensions
    return formatted
