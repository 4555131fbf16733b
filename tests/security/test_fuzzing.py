"""A short form of scripts/fuzz: a few hundred made-up requests to a small world, none of which is answered wrongly."""

from pathlib import Path

import pytest
import pytest_asyncio
import requests

from bench.fuzzing.doors import EVENTS, FILES, FLAGS, Doors
from bench.fuzzing.findings import Finding, Findings
from bench.fuzzing.graph import GRAPH, Graph
from bench.fuzzing.world import World, fill, served

CASES = 40
BOUNDARIES = 25


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(new_database, tmp_path_factory: pytest.TempPathFactory):
    """A server of its own on a small world."""
    url = await new_database()
    names = await fill(url, size=0.001)
    log: Path = tmp_path_factory.mktemp("fuzzing") / "server.log"
    with served(url, names, log, {}) as world:
        yield world


@pytest.fixture
def findings(world: World):
    """What a test finds: nothing, neither in answers nor in the server's log, and a server that is ready."""
    findings, seen = Findings(), len(world.errors())
    yield findings
    assert not findings.wrong, findings.told()
    assert world.errors()[seen:] == []
    assert requests.get(f"{world.url}/readyz", timeout=10).status_code == 200


@pytest.mark.parametrize("door", [FLAGS, EVENTS, FILES])
def test_the_described_doors(world: World, findings: Findings, door: str) -> None:
    Doors(world, findings, seed=1).run(door, cases=CASES, boundaries=BOUNDARIES)
    assert findings.cases[door] >= CASES
    assert findings.never("200") == []


def test_the_graph(world: World, findings: Findings) -> None:
    Graph(world, findings, seed=1, fits=False).run(cases=3 * CASES)
    assert findings.cases[GRAPH] > 2 * CASES
    assert findings.answers[GRAPH]["done"] > CASES


def test_what_is_wrong_is_told() -> None:
    findings = Findings()
    findings.answered("graph", "Query.test", "NOT_FOUND")
    findings.add(Finding("graph", "Query.test", "INTERNAL_ERROR", "a long example"))
    findings.add(Finding("graph", "Query.test", "INTERNAL_ERROR", "short"))
    told = findings.told()
    assert "Query.test, 2 times: INTERNAL_ERROR" in told
    assert "    short" in told
    assert "never carried out: Query.test" in told
    assert "1 kinds of wrong answers" in told


async def test_totals_are_what_the_events_say(world: World) -> None:
    assert await world._differing() == []
