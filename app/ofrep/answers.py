"""What the OpenFeature protocol says of a decision."""

from typing import Any

import msgspec
import orjson

from app.abtests.assigning import NO_VARIANT, Decision, NoVariant
from app.abtests.definitions import AssigningTest
from app.store.abtest_rows import VariantRow
from engine.assignment.allocation import Assignment

PARSE_ERROR = "PARSE_ERROR"
INVALID_CONTEXT = "INVALID_CONTEXT"
TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
MAX_TARGETING_KEY = 200


class Refused(Exception):
    """An evaluation that cannot be: the protocol's error code, and what to do."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class Context(msgspec.Struct):
    """A request: whom to evaluate for, and what is known of them."""

    context: dict[str, Any]


_DECODER = msgspec.json.Decoder(Context)


def decode_context(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the targeting key and the attributes of a request, or raise Refused."""
    try:
        context = _DECODER.decode(body).context
    except msgspec.ValidationError as error:
        raise Refused(INVALID_CONTEXT, f'Send {{"context": {{"targetingKey": "..."}}}} ({error}).') from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(PARSE_ERROR, f"The body is no JSON ({error}): send an evaluation request.") from error
    key = context.get("targetingKey")
    if key is None or key == "":
        raise Refused(TARGETING_KEY_MISSING, "The context has no targetingKey: send the user's id.")
    if not isinstance(key, str) or len(key) > MAX_TARGETING_KEY or "\x00" in key:
        raise Refused(INVALID_CONTEXT, f"A targetingKey is a text of 1 to {MAX_TARGETING_KEY} characters without NUL.")
    return key, context


def answer(decision: Decision) -> bytes:
    """Return a flag's evaluation. A unit that is not in the test gets the control's value, by reason DEFAULT."""
    if decision.variant is None:
        return _default(decision.test, decision.reason)
    return _split(decision.test, decision.variant, decision.probability, decision.policy_version)


class FlagAnswers:
    """What a test answers by its hash, written once for each variant and each reason for none."""

    def __init__(self, test: AssigningTest) -> None:
        self.test = test
        variants = enumerate(test.definition.variants)
        self._split = [_split(test, one, test.probabilities[at], test.policy_version) for at, one in variants]
        self._default = {reason: _default(test, why) for reason, why in NO_VARIANT.items()}

    def of(self, assignment: Assignment) -> bytes:
        """Return the evaluation of a unit."""
        variant = assignment.variant
        return self._default[assignment.reason] if variant is None else self._split[variant]


def failure(refused: Refused, key: str | None = None) -> bytes:
    """Return what could not be evaluated, and why."""
    named = {} if key is None else {"key": key}
    return orjson.dumps({**named, "errorCode": refused.code, "errorDetails": refused.details})


def _split(test: AssigningTest, variant: VariantRow, probability: float, policy_version: int) -> bytes:
    metadata = {"policyVersion": policy_version, "probability": probability}
    return _evaluation(test, variant, reason="SPLIT", metadata=metadata)


def _default(test: AssigningTest, why: NoVariant | None) -> bytes:
    metadata = {"policyVersion": test.policy_version, "inTest": False, "why": str(why)}
    return _evaluation(test, test.definition.control, reason="DEFAULT", metadata=metadata)


def _evaluation(test: AssigningTest, variant: VariantRow, *, reason: str, metadata: dict[str, Any]) -> bytes:
    payload = variant.payload
    value = variant.key if payload is None else payload
    key = test.definition.test.key
    return orjson.dumps({"key": key, "value": value, "reason": reason, "variant": variant.key, "metadata": metadata})
