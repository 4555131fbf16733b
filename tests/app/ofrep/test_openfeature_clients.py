"""The official OpenFeature clients, Python's and JavaScript's for servers and browsers, against a real server."""

import asyncio
import fcntl
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    OpenFeatureError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import Reason

from app.auth.principals import Role

CLIENTS = Path(__file__).parents[2] / "clients"
ZOE = EvaluationContext("Zoë", {"plan": "prö", "age": 30})


# ------------------------------------------------------------------------------------------------ Python


@pytest_asyncio.fixture
async def provider(server, flags, key_of) -> OFREPProvider:
    """The official Python client, with a key that may evaluate and nothing more."""
    key = await key_of(Role.CLIENT)
    return OFREPProvider(server.url, headers_factory=lambda: {"Authorization": f"Bearer {key}"})


async def resolved(method: Callable[..., Any], *given: Any) -> Any:
    return await asyncio.to_thread(method, *given)


async def test_python_resolves_every_type(provider, payloads) -> None:
    expected = {
        "of-object": (provider.resolve_object_details, {}),
        "of-boolean": (provider.resolve_boolean_details, True),
        "of-text": (provider.resolve_string_details, "default"),
        "of-integer": (provider.resolve_integer_details, -1),
        "of-number": (provider.resolve_float_details, -1.0),
        "of-whole-number": (provider.resolve_float_details, -1.0),
    }
    for key, (method, default) in expected.items():
        found = await resolved(method, key, default, ZOE)
        assert found.value == payloads[key]
        assert (found.reason, found.error_code) == (Reason.SPLIT, None)
        assert found.variant in {"control", "treatment"}
        assert found.flag_metadata == {"policyVersion": 1, "probability": 0.5}
    without = await resolved(provider.resolve_string_details, "of-none", "default", ZOE)
    assert without.value == without.variant


async def test_python_knows_why_a_user_is_not_in_the_test(provider, flags) -> None:
    await flags.start("of-python-targeted", targeting={"plan": "free"})
    found = await resolved(provider.resolve_string_details, "of-python-targeted", "default", ZOE)
    assert (found.reason, found.value, found.flag_metadata["why"]) == (Reason.DEFAULT, "control", "not targeted")


async def test_python_sees_refusals_as_errors_of_the_standard(provider) -> None:
    with pytest.raises(FlagNotFoundError, match="nowhere"):
        await resolved(provider.resolve_string_details, "nowhere", "default", ZOE)
    with pytest.raises(TargetingKeyMissingError, match="targetingKey"):
        await resolved(provider.resolve_string_details, "of-none", "default", EvaluationContext(None, {"plan": "x"}))
    with pytest.raises(InvalidContextError, match="context"):
        await resolved(provider.resolve_string_details, "of-none", "default", None)
    with pytest.raises(TypeMismatchError):
        await resolved(provider.resolve_boolean_details, "of-text", True, ZOE)
    with pytest.raises(TypeMismatchError):  # Python's client takes 25 for an integer: store 25.0
        await resolved(provider.resolve_float_details, "of-integer", 1.0, ZOE)


@pytest.mark.parametrize("role", [None, Role.SENDER])
async def test_python_is_told_who_it_is_not(server, flags, key_of, role: Role | None) -> None:
    key = "wnw_wrong" if role is None else await key_of(role)
    provider = OFREPProvider(server.url, headers_factory=lambda: {"X-API-Key": key})
    with pytest.raises(OpenFeatureError, match="unauthorized" if role is None else "forbidden"):
        await resolved(provider.resolve_string_details, "of-none", "default", ZOE)


async def test_python_pauses_when_told_to(new_database, start_server) -> None:
    with start_server(await new_database(), WINNOW_REQUESTS_PER_SECOND="0.2", WINNOW_REQUESTS_BURST="1") as server:
        provider = OFREPProvider(server.url, headers_factory=lambda: server.headers)
        with pytest.raises(FlagNotFoundError):
            await resolved(provider.resolve_string_details, "nowhere", "default", ZOE)
        with pytest.raises(GeneralError, match="Rate limited"):
            await resolved(provider.resolve_string_details, "nowhere", "default", ZOE)
        with pytest.raises(GeneralError, match="paused"):
            await resolved(provider.resolve_string_details, "nowhere", "default", ZOE)


# ------------------------------------------------------------------------------------------------ JavaScript


@pytest.fixture(scope="session")
def javascript() -> Path:
    """A folder with the clients installed, once for all runs; skips where Node or npm is not there."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on this machine: the JavaScript clients are not tried")
    with (CLIENTS / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CLIENTS / "node_modules/.package-lock.json").exists():
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            installed = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=300)
            if installed.returncode:
                pytest.skip(f"npm could not install the clients: {installed.stderr.strip()[-300:]}")
    return CLIENTS


@pytest_asyncio.fixture(scope="session")
async def seen(javascript: Path, server, flags, key_of) -> dict[str, Any]:
    """What the clients of JavaScript saw."""
    await flags.start("of-plans", targeting={"plan": "prö"})
    command = ["node", "openfeature.mjs", server.url, await key_of(Role.CLIENT), "wnw_wrong"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=javascript, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


@pytest.mark.parametrize("client", ["server", "web"])
async def test_javascript_resolves_every_type(seen, payloads, client: str) -> None:
    for name in ("object", "boolean", "text", "integer", "number"):
        found = seen[client][name]
        assert found["value"] == payloads[f"of-{name}"]
        assert (found["reason"], found.get("errorCode")) == ("SPLIT", None)
        assert found["variant"] in {"control", "treatment"}
        assert found["flagMetadata"] == {"policyVersion": 1, "probability": 0.5}
    assert seen[client]["none"]["value"] == seen[client]["none"]["variant"]


async def test_the_clients_of_servers_and_browsers_agree(seen) -> None:
    for name, found in seen["server"].items():
        assert seen["web"][name].get("variant") == found.get("variant"), name


@pytest.mark.parametrize("client", ["server", "web"])
async def test_javascript_falls_back_on_the_default(seen, client: str) -> None:
    missing, mismatch = seen[client]["missing"], seen[client]["mismatch"]
    assert (missing["value"], missing["reason"], missing["errorCode"]) == ("default", "ERROR", "FLAG_NOT_FOUND")
    assert (mismatch["value"], mismatch["errorCode"]) == (7, "TYPE_MISMATCH")


async def test_javascript_sees_refusals(seen) -> None:
    without = seen["serverWithoutContext"]
    assert (without["value"], without["errorCode"]) == ("default", "TARGETING_KEY_MISSING")
    wrong = seen["serverWrongKey"]
    assert (wrong["value"], wrong["reason"]) == ("default", "ERROR")


async def test_a_browser_whose_user_changes_plan_gets_another_answer(seen) -> None:
    assert seen["webTargeted"]["reason"] == "SPLIT"
    assert (seen["webOtherPlan"]["reason"], seen["webOtherPlan"]["value"]) == ("DEFAULT", "control")
    assert seen["webSamePlan"] == seen["webOtherPlan"]
    assert seen["webBack"] == seen["webTargeted"]


async def test_a_browser_that_asks_the_same_again_has_its_answer(seen) -> None:
    """The first request has no tag; each later one sends the last one's, and only an equal question is answered 304."""
    assert seen["webAnswers"] == [[200, False], [200, True], [304, True], [200, True]]
