from collections import Counter

import httpx
import pytest
from scipy.stats import binomtest

from app.demo.truth import TAPPING
from app.demo.visiting import FlagChooser, Picture, Visiting
from app.runtime.clock import ManualClock


class Server:
    """Chooses pictures, and takes events, or does not."""

    def __init__(self):
        self.events = []
        self.asked = []
        self.there = True
        self.picture = Picture(variant="season", probability=0.7)

    async def choose(self, user):
        self.asked.append(user)
        return self.picture

    async def send(self, events):
        if self.there:
            self.events += events
        return self.there


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock(world):
    return ManualClock(world.anchor)


@pytest.fixture
def visiting(world, server, clock):
    return Visiting(world.population, choose=server.choose, send=server.send, clock=clock)


async def live(visiting, clock, seconds):
    for _ in range(seconds):
        await visiting.tick()
        clock.advance(1)


async def test_visitors_see_what_the_server_chose_and_tap_by_the_truth(visiting, server, clock):
    await live(visiting, clock, 3_000)
    shown = [event for event in server.events if event.type == "EXPOSED"]
    tapped = Counter(event.user_id for event in server.events if event.type == "CLICKED")
    assert 1_000 < len(shown) < 1_400
    assert len({event.user_id for event in shown}) == len(shown)
    assert {(event.variant_key, event.probability) for event in shown} == {("season", 0.7)}
    assert set(tapped.values()) == {1}
    assert set(tapped) <= {event.user_id for event in shown}
    assert binomtest(len(tapped), len(shown), TAPPING["season"]).pvalue > 1e-4
    assert all(event.occurred_at <= clock.now() for event in server.events)


async def test_nobody_visits_while_the_test_does_not_run(visiting, server, clock):
    server.picture = None
    await live(visiting, clock, 100)
    assert server.events == []
    assert len(set(server.asked)) == 1  # the same user waits
    server.picture = Picture(variant="map", probability=0.1)
    await live(visiting, clock, 20)
    assert server.events[0].user_id == server.asked[0]


async def test_what_does_not_arrive_is_sent_again(visiting, server, clock):
    server.there = False
    await live(visiting, clock, 60)
    assert server.events == []
    server.there = True
    clock.advance(300)
    await visiting.tick()
    ids = [event.id for event in server.events]
    assert 10 < len(ids) == len(set(ids))


def client(answer):
    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://winnow")


async def test_a_flag_names_the_picture():
    def answer(request):
        assert request.url.path == "/ofrep/v1/evaluate/flags/home-picture"
        assert request.read() == b'{"context":{"targetingKey":"u-00001"}}'
        flag = {"key": "home-picture", "reason": "SPLIT", "variant": "map", "value": {"picture": "map.jpg"}}
        return httpx.Response(200, json=flag | {"metadata": {"policyVersion": 3, "probability": 0.2}})

    async with client(answer) as http:
        assert await FlagChooser(http)("u-00001") == Picture(variant="map", probability=0.2)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"errorCode": "FLAG_NOT_FOUND"}),
        httpx.Response(200, json={"reason": "DEFAULT", "variant": "basket"}),
    ],
)
async def test_without_a_choice_there_is_no_visit(answer):
    async with client(lambda _: answer) as http:
        assert await FlagChooser(http)("u-00001") is None


async def test_a_server_that_is_not_there_is_waited_for():
    def answer(_):
        raise httpx.ConnectError("refused")

    async with client(answer) as http:
        assert await FlagChooser(http)("u-00001") is None
