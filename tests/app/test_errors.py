import inspect

import pytest

from app import errors
from app.errors import DomainError, ErrorCode, InvalidInput, RateLimited

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, DomainError)]


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind is not DomainError])
def test_every_error_has_a_code_and_is_drawn(kind: type[DomainError]):
    assert isinstance(kind.code, ErrorCode)
    line = next(
        line for line in (errors.__doc__ or "").splitlines() if line.lstrip("│ ├└─").startswith(f"{kind.__name__} ")
    )
    drawn = kind.code.value in line
    assert drawn or kind.code is ErrorCode.UNAVAILABLE


def test_every_code_is_used():
    assert {kind.code for kind in TREE if kind is not DomainError} == set(ErrorCode)


def test_path_and_message():
    error = InvalidInput("Give a positive amount.", path=("input", "offerAmount"))
    assert (str(error), error.message, error.path) == ("Give a positive amount.",) * 2 + (("input", "offerAmount"),)


def test_rate_limit_says_when_to_come_back():
    assert RateLimited("Wait.", retry_after=1.5).retry_after == 1.5
