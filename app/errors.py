"""What Winnow refuses on purpose, and the code each refusal travels under.

::

    DomainError
    ├── NotFound             NOT_FOUND            an id, key or page names nothing
    ├── AlreadyExists        ALREADY_EXISTS       a key is taken
    ├── InvalidInput         INVALID_INPUT        a value lies outside its documented range
    ├── InvalidTransition    INVALID_TRANSITION   the thing exists, its state forbids the step
    ├── NotAllowed           NOT_ALLOWED          the caller is known, its role forbids the action
    ├── NotEnoughData        NOT_ENOUGH_DATA      the question is fine, the data cannot bear an answer yet
    ├── Unauthenticated      UNAUTHENTICATED      no key, or one that is unknown or revoked
    ├── RateLimited          RATE_LIMITED         too much at once; `retry_after` seconds say when to come back
    ├── TooLarge             TOO_LARGE            a request past its size limit
    └── Unavailable          UNAVAILABLE          something Winnow stands on does not answer; has a `retry_after`, too
        ├── DataFolderInUse                       another Winnow owns the data folder
        ├── DataFolderUnusable                    the data folder cannot be read, written or trusted
        ├── IncompatibleVersion                   a PostgreSQL version that cannot serve or be served
        └── DatabaseUnavailable                   PostgreSQL does not start or does not answer

The first six are the contract's UserErrorCode; the rest are spoken by the doors (HTTP, command line). Every message
ends by saying what to do. `path` names the input field at fault, outermost first; it is empty where no single field is.
Where an input has several problems they are raised together, as `DomainErrors`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """The code a DomainError travels under."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    INVALID_INPUT = "INVALID_INPUT"
    INVALID_TRANSITION = "INVALID_TRANSITION"
    NOT_ALLOWED = "NOT_ALLOWED"
    NOT_ENOUGH_DATA = "NOT_ENOUGH_DATA"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_LARGE = "TOO_LARGE"
    UNAVAILABLE = "UNAVAILABLE"


class DomainError(Exception):
    """Base of everything Winnow refuses on purpose."""

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class NotFound(DomainError):
    """An id, key or page names nothing."""

    code = ErrorCode.NOT_FOUND


class AlreadyExists(DomainError):
    """A key is taken."""

    code = ErrorCode.ALREADY_EXISTS


class InvalidInput(DomainError):
    """A value lies outside its documented range."""

    code = ErrorCode.INVALID_INPUT


class InvalidTransition(DomainError):
    """The thing exists, but its state forbids the step."""

    code = ErrorCode.INVALID_TRANSITION


class NotAllowed(DomainError):
    """The caller is known, but its role forbids the action."""

    code = ErrorCode.NOT_ALLOWED


class NotEnoughData(DomainError):
    """The data cannot bear an answer yet."""

    code = ErrorCode.NOT_ENOUGH_DATA


class Unauthenticated(DomainError):
    """There is no key, or one that is unknown or revoked."""

    code = ErrorCode.UNAUTHENTICATED


class RateLimited(DomainError):
    """The caller asks for too much at once."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, *, retry_after: float, path: tuple[str, ...] = ()) -> None:
        super().__init__(message, path=path)
        self.retry_after = retry_after


class TooLarge(DomainError):
    """A request is past its size limit."""

    code = ErrorCode.TOO_LARGE


class Unavailable(DomainError):
    """Something Winnow stands on does not answer."""

    code = ErrorCode.UNAVAILABLE
    retry_after: ClassVar[float] = 1.0
    """Seconds after which it is worth another try."""


class DataFolderInUse(Unavailable):
    """Another Winnow owns the data folder."""


class DataFolderUnusable(Unavailable):
    """The data folder cannot be read, written or trusted."""


class IncompatibleVersion(Unavailable):
    """A PostgreSQL version cannot serve, or cannot be served."""


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not start or does not answer."""


class DomainErrors(Exception):
    """Everything wrong with one input: its problems, each with its code and path."""

    def __init__(self, problems: Sequence[DomainError]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = tuple(problems)
