"""Why an event is refused: typed reasons, each with the code it travels under."""

from dataclasses import dataclass
from enum import StrEnum

from app.errors import ErrorCode


class Step(StrEnum):
    """The steps an event passes, in order."""

    DECODE = "decode"
    CHECK = "check"
    RESOLVE = "resolve"
    STORE = "store"


class DropReason(StrEnum):
    """Why an event was dropped; the label of its counter."""

    NOT_JSON = "not_json"
    TOO_LONG = "too_long"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_VALUE = "wrong_value"
    OUT_OF_RANGE = "out_of_range"
    BAD_TEXT = "bad_text"
    BAD_TIME = "bad_time"
    BAD_AMOUNT = "bad_amount"
    BAD_PROPERTIES = "bad_properties"
    NO_TEST = "no_test"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    UNKNOWN_TEST = "unknown_test"
    UNKNOWN_VARIANT = "unknown_variant"
    UNKNOWN_USER = "unknown_user"
    UNKNOWN_MERCHANT = "unknown_merchant"
    INVALID_ROW = "invalid_row"
    NOT_IN_TEST = "not_in_test"
    NO_LONGER_KEPT = "no_longer_kept"
    TOTAL_FULL = "total_full"


STEPS = {
    DropReason.NOT_JSON: Step.DECODE,
    DropReason.TOO_LONG: Step.DECODE,
    DropReason.MISSING_FIELD: Step.DECODE,
    DropReason.UNKNOWN_FIELD: Step.DECODE,
    DropReason.WRONG_VALUE: Step.DECODE,
    DropReason.OUT_OF_RANGE: Step.DECODE,
    DropReason.BAD_TEXT: Step.CHECK,
    DropReason.BAD_TIME: Step.CHECK,
    DropReason.BAD_AMOUNT: Step.CHECK,
    DropReason.BAD_PROPERTIES: Step.CHECK,
    DropReason.NO_TEST: Step.CHECK,
    DropReason.UNKNOWN_CAMPAIGN: Step.RESOLVE,
    DropReason.UNKNOWN_TEST: Step.RESOLVE,
    DropReason.UNKNOWN_VARIANT: Step.RESOLVE,
    DropReason.UNKNOWN_USER: Step.RESOLVE,
    DropReason.UNKNOWN_MERCHANT: Step.RESOLVE,
    DropReason.INVALID_ROW: Step.STORE,
    DropReason.NOT_IN_TEST: Step.RESOLVE,
    DropReason.NO_LONGER_KEPT: Step.STORE,
    DropReason.TOTAL_FULL: Step.STORE,
}
"""At which step each reason drops an event."""

NOT_FOUND = frozenset({reason for reason in DropReason if reason.startswith("unknown_") and reason != "unknown_field"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one event is refused. `id` is the sender's, where it could be read; `field` is the contract's name."""

    reason: DropReason
    message: str
    field: str | None = None
    id: str | None = None

    @property
    def code(self) -> ErrorCode:
        """Return the contract's code."""
        return ErrorCode.NOT_FOUND if self.reason in NOT_FOUND else ErrorCode.INVALID_INPUT


@dataclass(frozen=True, slots=True)
class Rejected:
    """A refused event by its place in what was sent, from 0."""

    index: int
    rejection: Rejection

    @property
    def id(self) -> str | None:
        """Return the sender's id, where it could be read."""
        return self.rejection.id

    @property
    def code(self) -> ErrorCode:
        """Return the contract's code."""
        return self.rejection.code

    @property
    def message(self) -> str:
        """Return what is wrong and what to do."""
        return self.rejection.message

    @property
    def field(self) -> str | None:
        """Return the contract's name of the field at fault."""
        return self.rejection.field


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the events of one request; what was accepted is durable."""

    accepted: int = 0
    duplicates: int = 0
    rejected: tuple[Rejected, ...] = ()
