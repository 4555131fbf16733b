from collections import Counter

import httpx
import pytest

from app.demo.abtests import PLANS
from app.demo.traffic import HASTE, MOST_WAITING, HttpSender, Traffic, server_address
from app.demo.wording import Wording
from app.demo.world import MATURE_AFTER
from app.ingestion.batches import read_lines
from app.runtime.clock import ManualClock
from app.runtime.settings import Settings


class Sent:
    """A server that takes events, or does not."""

    def __init__(self):
        self.events = []
        self.there = True

    async def __call__(self, events):
        if self.there:
            self.events += events
        return self.there


@pytest.fixture
def sent():
    return Sent()


@pytest.fixture
def clock(world):
    return ManualClock(world.anchor)


@pytest.fixture
def traffic(world, sent, clock):
    return Traffic(world, send=sent, clock=clock)


async def live(traffic, clock, seconds):
    for _ in range(seconds):
        await traffic.tick()
        clock.advance(1)


async def test_a_few_events_a_second_come_when_they_happen(traffic, clock, sent):
    await live(traffic, clock, 900)
    assert 2 < sum(event.type != "EXPOSED" for event in sent.events) / 900 < 4
    assert all(event.occurred_at <= clock.now() for event in sent.events)
    kinds = Counter(event.type for event in sent.events)
    assert kinds["SENT"] > kinds["DELIVERED"] > kinds["OPENED"] > kinds["CLICKED"] > kinds["CONVERTED"] > 0


async def test_ids_never_repeat_not_even_after_a_restart(world, traffic, clock, sent):
    await live(traffic, clock, 60)
    await live(Traffic(world, send=sent, clock=clock), clock, 60)
    ids = [event.id for event in sent.events if event.type != "EXPOSED"]
    assert len(set(ids)) == len(ids)


async def test_users_are_exposed_once_to_tests_that_run_and_the_server_decides(world, traffic, clock, sent):
    await live(traffic, clock, 300)
    exposures = [event for event in sent.events if event.type == "EXPOSED"]
    assert {event.test_id for event in exposures} == {plan.key for plan in PLANS if plan.ended is None}
    assert len({(event.test_id, event.user_id) for event in exposures}) == len(exposures)
    assert {(event.variant_key, event.probability) for event in exposures} == {(None, None)}
    first = Wording(world.population).word(world.history().events, prefix="any")
    known = {(event.test_id, event.user_id): event.id for event in first if event.type == "EXPOSED"}
    again = [event for event in exposures if (event.test_id, event.user_id) in known]
    assert again
    assert all(event.id == known[event.test_id, event.user_id] for event in again)


async def test_what_does_not_arrive_is_sent_again(traffic, clock, sent):
    sent.there = False
    await live(traffic, clock, 60)
    assert sent.events == []
    sent.there = True
    await traffic.tick()
    kinds = Counter(event.type for event in sent.events)
    assert 40 < kinds["SENT"] < 110
    assert len({event.id for event in sent.events}) == len(sent.events)


async def test_nothing_more_happens_while_too_much_waits(world, clock, sent):
    traffic = Traffic(world, send=sent, clock=clock, per_second=MOST_WAITING)
    sent.there = False
    await live(traffic, clock, 4)
    waiting = len(traffic._coming)
    await live(traffic, clock, 4)
    assert len(traffic._coming) == waiting > MOST_WAITING


async def test_everything_follows_within_minutes(traffic, clock, sent):
    await live(traffic, clock, 30)
    traffic._per_second = 0
    clock.advance(MATURE_AFTER.total_seconds() / HASTE)
    await traffic.tick()
    assert traffic._coming == []


@pytest.mark.parametrize(("status", "arrived"), [(200, True), (401, False), (429, False), (503, False)])
async def test_the_sender_posts_lines_that_ingestion_reads(world, traffic, clock, sent, status, arrived):
    await live(traffic, clock, 30)
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(status, json={})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://winnow") as client:
        assert await HttpSender(client)(sent.events) is arrived
    assert seen[0].url.path == "/v1/events"
    assert read_lines(seen[0].content).events == sent.events


async def test_a_server_that_is_not_there_is_waited_for(sent):
    def answer(_):
        raise httpx.ConnectError("refused")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://winnow") as client:
        assert await HttpSender(client)([]) is False


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:81"), ("::", "http://[::1]:81")],
)
def test_the_address_is_one_that_can_be_called(host, address):
    assert server_address(Settings(host=host, port=81)) == address
