"""The doors that docs/openapi.yaml describes, under requests that keep to it and requests that break it.

Every operation gets the document's examples, a case for each boundary of its schemas, and made-up cases, half of them
wrong on purpose. Every answer is held against the document: status, headers, media type, body.
"""

import gzip
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import requests
import schemathesis
import yaml
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks

from bench.fuzzing.drawing import draw
from bench.fuzzing.findings import Finding, Findings
from bench.fuzzing.world import World

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"
FLAGS, EVENTS, FILES = "flags", "events", "files"
DOORS = {
    FLAGS: (("/ofrep/v1/evaluate/flags/{key}", "POST"), ("/ofrep/v1/evaluate/flags", "POST")),
    EVENTS: (("/v1/events", "POST"),),
    FILES: (("/v1/export/tests/{key}/{file}", "GET"),),
}
NDJSON = "application/x-ndjson"
EXISTING = 0.8
"""Share of cases in which names of the document's examples are made names of things that exist."""
_NAMED = {"campaignId": "campaign", "testId": "test", "variantKey": "variant", "userId": "user"}
_WHY_NOT = (
    *("before the year 2000", "24 hours ahead", "has no variant in the test", "belongs to a test", "surrogate"),
    *("got `float`", "16,384", "NUL character"),
)
"""What may be wrong with an event that its schema allows: what it says of time and the world, 1.0 for 1, sizes."""


@schemathesis.serializer(NDJSON)
def _lines(_context: Any, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Doors:
    """Sends cases to a server and looks at its answers."""

    def __init__(self, world: World, findings: Findings, *, seed: int) -> None:
        self._world = world
        self._findings = findings
        self._seed = seed
        self._session = requests.Session()
        self._session.headers.update(world.headers)
        document = yaml.safe_load(DOCUMENT.read_text())
        del document["security"]  # all requests here carry a key; keys are fuzzed by none
        self._schema = schemathesis.openapi.from_dict(document)

    def run(self, door: str, *, cases: int, boundaries: int | None = None) -> None:
        """Send the door that many made-up cases, after the document's examples and (at most so many) boundaries."""
        operations = [self._schema[path][method] for path, method in DOORS[door]]
        for operation in operations:
            for case in islice(self._fixed(operation), boundaries):
                self._try(door, case)
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                strategy = operation.as_strategy(generation_mode=mode)
                each = -(-cases // (2 * len(operations)))
                draw(strategy, lambda case: self._try(door, case), cases=each, seed_of_run=self._seed)

    def _fixed(self, operation: Any) -> Iterator[Case]:
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
        configuration = self._schema.config.generation
        for strategy in self._schema.get_strategies_from_examples(operation):
            found: list[Case] = []
            draw(strategy, found.append, cases=1, seed_of_run=self._seed)
            yield from found
        yield from self._schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=configuration)

    def _try(self, door: str, case: Case) -> None:
        made_up = repr((case.body, case.path_parameters)).encode("utf-8", "replace")
        chance = random.Random(crc32(made_up) + self._seed)
        self._name(case, chance)
        response = self._send(case, chance)
        if response is None:
            return
        place = f"{case.method} {case.operation.path}"
        self._findings.answered(door, case.operation.label, str(response.status_code))
        for kind in self._wrong(door, case, response):
            self._findings.add(Finding(door, place, kind, _shown(case, response)))

    def _name(self, case: Case, chance: random.Random) -> None:
        """Let a case that keeps to the document be about what exists."""
        names = self._world.names
        if case.path_parameters and _is_positive(case, ParameterLocation.PATH) and chance.random() < EXISTING:
            case.path_parameters = {**case.path_parameters, "key": chance.choice(names["test"])}
        if not _is_positive(case, ParameterLocation.BODY):
            return
        if case.path.startswith("/ofrep") and chance.random() < EXISTING / 2:
            case.query = {**(case.query or {}), "expose": "true"}
        for line in case.body if isinstance(case.body, list) else [case.body]:
            if not isinstance(line, dict):
                continue
            for field, kind in _NAMED.items():
                if line.get(field) is not None and chance.random() < EXISTING:
                    line[field] = chance.choice(names[kind])
            context = line.get("context")
            if isinstance(context, dict) and chance.random() < EXISTING / 2:
                context["targetingKey"] = chance.choice(names["user"])

    def _send(self, case: Case, chance: random.Random) -> requests.Response | None:
        given = case.as_transport_kwargs(base_url=self._world.url)
        packing = str((given.get("headers") or {}).get("Content-Encoding", ""))
        data = given.get("data")
        if (
            packing.strip().lower() in {"gzip", "x-gzip"}
            and isinstance(data, str | bytes)
            and chance.random() < EXISTING
        ):
            given["data"] = gzip.compress(data.encode() if isinstance(data, str) else data)
        try:
            return self._session.request(**given, timeout=30)
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError, ValueError):
            return None  # no client can send this

    def _wrong(self, door: str, case: Case, response: requests.Response) -> Iterator[str]:
        left_out = [checks.ignored_auth, checks.unsupported_method]
        if door == EVENTS:  # wrong events are told of in an answer of status 200
            left_out += [checks.negative_data_rejection, checks.positive_data_acceptance]
        try:
            case.validate_response(response, excluded_checks=left_out)
        except FailureGroup as group:
            yield from sorted({f"{failure.title}" for failure in group.exceptions})
        if door == EVENTS and response.status_code == 200:
            yield from _receipt(case, response)


def _shown(case: Case, response: requests.Response) -> str:
    """Return a request and its answer in words."""
    mode = case.meta.generation.mode.value if case.meta else ""
    said = f"{response.status_code} {response.text[:600]}"
    return f"{mode} {response.request.url} {_body(response)[:600]!r} -> {said}"


def _body(response: requests.Response) -> bytes:
    sent = response.request.body or b""
    return sent.encode() if isinstance(sent, str) else sent


def _is_positive(case: Case, location: ParameterLocation) -> bool:
    component = case.meta.components.get(location) if case.meta else None
    return component is None or component.mode is GenerationMode.POSITIVE


def _receipt(case: Case, response: requests.Response) -> Iterator[str]:
    """Tell what does not add up in an answer to events."""
    said = response.json()
    sent = _body(response)
    if response.request.headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip"}:
        sent = gzip.decompress(sent)
    lines = [line for line in sent.split(b"\n") if line.strip()]
    told = said["accepted"] + said["duplicates"] + len(said["rejected"]) + said.get("unlisted", 0)
    if told != len(lines):
        yield "the receipt does not add up to the lines sent"
    if _is_positive(case, ParameterLocation.BODY):
        for one in said["rejected"]:
            if one["code"] != "NOT_FOUND" and not any(why in one["message"] for why in _WHY_NOT):
                yield f"an event that keeps to the document is refused: {one['message']}"
    elif case.media_type == "application/json" and said["accepted"] and len(lines) == 1:
        yield "an event that breaks the document is accepted"
