"""What the OpenFeature protocol says of a decision."""

from typing import Any

import msgspec

from app.abtests.assigning import Decision

PARSE_ERROR = "PARSE_ERROR"
INVALID_CONTEXT = "INVALID_CONTEXT"
TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
GENERAL = "GENERAL"
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


def success(decision: Decision) -> dict[str, Any]:
    """Return a flag's evaluation. A unit that is not in the test gets the control's value, by reason DEFAULT."""
    definition = decision.test.definition
    variant = decision.variant or definition.control
    metadata: dict[str, Any] = {"policyVersion": decision.policy_version, "probability": decision.probability}
    if decision.variant is None:
        metadata = {"inTest": False, "why": str(decision.reason)}
    return {
        "key": definition.test.key,
        "value": variant.key if variant.payload is None else variant.payload,
        "reason": "DEFAULT" if decision.variant is None else "SPLIT",
        "variant": variant.key,
        "metadata": metadata,
    }


def failure(refused: Refused, key: str | None = None) -> dict[str, Any]:
    """Return what could not be evaluated, and why."""
    named = {} if key is None else {"key": key}
    return {**named, "errorCode": refused.code, "errorDetails": refused.details}
