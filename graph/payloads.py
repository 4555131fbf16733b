"""What a mutation answers: the thing, or why it was refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from graph.errors import UserProblem, user_problems
from graph.fields import related


@dataclass(frozen=True, slots=True)
class Payload[Thing]:
    """The changed thing, or what was wrong."""

    thing: Thing | None
    errors: Sequence[UserProblem] = ()


def payload(description: str) -> Any:
    """Declare the field that holds the changed thing."""
    return related(description, through=attrgetter("thing"))


def refused(error: Exception) -> Payload[Any]:
    """Return the payload of a refusal; raise what a payload cannot carry."""
    return Payload(None, user_problems(error))
