"""Feeds: who shares one, when it computes, and how it ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from app.auth.principals import Principal, Role
from app.errors import DatabaseUnavailable
from app.runtime.broadcast import LocalBroadcast
from app.runtime.settings import Settings
from graph.context import Context, Services
from graph.live.feeds import Feed, Feeds
from graph.live.followers import Follower
from graph.live.sources import Source
from graph.operations import Answer, Operations, Request
from graph.schema import GraphSchema

PAUSE = 0.1
ANALYST = Principal(2, "analyst", Role.ANALYST)


class Present:
    """What is answered, and when it was asked for."""

    def __init__(self) -> None:
        self.value = 0
        self.asked: list[float] = []
        self.last = False
        self.before_answer: Callable[[], Any] = lambda: None

    async def __call__(self) -> tuple[Answer, bool]:
        self.asked.append(asyncio.get_running_loop().time())
        value = self.value
        self.before_answer()
        await asyncio.sleep(0.01)
        return Answer(executed=True, data={"value": value}, errors=[]), self.last


class Taking:
    """A follower read by a task of its own."""

    def __init__(self, feed: Feed) -> None:
        self.follower = Follower()
        self.values: list[Any] = []
        self.times: list[float] = []
        self.told = asyncio.Event()
        feed.join(self.follower)
        self.task = asyncio.create_task(self._take())

    async def _take(self) -> None:
        while True:
            await self.follower.wait()
            news = self.follower.take()
            if news is None:
                return
            self.times.append(asyncio.get_running_loop().time())
            self.values.append((orjson.loads(news.text)["data"] or {}).get("value"))
            self.told.set()

    async def until(self, value: object) -> None:
        async with asyncio.timeout(5):
            while value not in self.values:
                self.told.clear()
                await self.told.wait()


@pytest.fixture
def present() -> Present:
    return Present()


@pytest.fixture
def broadcast() -> LocalBroadcast:
    return LocalBroadcast()


@pytest.fixture
async def feed(present: Present, broadcast: LocalBroadcast):
    source = Source(("totals", "tests"), "7", PAUSE)
    feed = Feed(present, source=source, broadcast=broadcast, retry_seconds=0.02)
    feed.task = asyncio.create_task(feed.run())
    yield feed
    feed.task.cancel()
    await asyncio.gather(feed.task, return_exceptions=True)


async def test_the_present_comes_first_then_each_change(feed: Feed, present: Present, broadcast: LocalBroadcast):
    taking = Taking(feed)
    await taking.until(0)
    for value, topic in ((1, "totals"), (2, "tests")):
        present.value = value
        await broadcast.publish(topic, ["7", "8"])
        await taking.until(value)
    assert taking.values == [0, 1, 2]


async def test_a_change_while_the_first_answer_is_computed_is_not_lost(present: Present, broadcast: LocalBroadcast):
    changes = iter([1])

    def change() -> None:  # after the value was read
        if (value := next(changes, None)) is not None:
            present.value = value
            broadcast._subscribers.deliver("totals", ["7"])

    present.before_answer = change
    feed = Feed(present, source=Source(("totals",), "7", PAUSE), broadcast=broadcast)
    taking = Taking(feed)
    running = asyncio.create_task(feed.run())
    await taking.until(1)
    assert taking.values == [0, 1]
    running.cancel()


async def test_never_more_often_than_asked_and_the_last_change_always_comes(
    feed: Feed, present: Present, broadcast: LocalBroadcast
):
    taking = Taking(feed)
    await taking.until(0)
    for value in range(1, 51):
        present.value = value
        await broadcast.publish("totals", ["7"])
        await asyncio.sleep(0.01)
    await taking.until(50)
    gaps = [after - before for before, after in zip(taking.times, taking.times[1:], strict=False)]
    assert min(gaps) >= PAUSE * 0.95
    assert 4 <= len(taking.values) <= 8


async def test_a_change_after_the_pause_is_told_at_once(feed: Feed, present: Present, broadcast: LocalBroadcast):
    taking = Taking(feed)
    await taking.until(0)
    await asyncio.sleep(PAUSE * 1.5)
    present.value = 1
    changed = asyncio.get_running_loop().time()
    await broadcast.publish("totals", ["7"])
    await taking.until(1)
    assert taking.times[-1] - changed < PAUSE / 2


async def test_changes_of_others_compute_nothing(feed: Feed, present: Present, broadcast: LocalBroadcast):
    taking = Taking(feed)
    await taking.until(0)
    await broadcast.publish("totals", ["8"])
    await broadcast.publish("users", ["7"])
    await asyncio.sleep(PAUSE * 2)
    assert len(present.asked) == 1


async def test_an_answer_that_did_not_change_is_not_told_again(feed: Feed, present: Present, broadcast: LocalBroadcast):
    taking = Taking(feed)
    await taking.until(0)
    await broadcast.publish("totals", ["7"])
    await asyncio.sleep(PAUSE * 2)
    assert (len(present.asked), taking.values) == (2, [0])


async def test_lost_announcements_are_made_up_for(feed: Feed, present: Present, broadcast: LocalBroadcast):
    taking = Taking(feed)
    await taking.until(0)
    present.value = 5
    broadcast._subscribers.deliver_reread()
    await taking.until(5)


async def test_who_comes_later_has_the_newest_at_once(feed: Feed, present: Present):
    await Taking(feed).until(0)
    late = Taking(feed)
    await late.until(0)
    assert len(present.asked) == 1


async def test_a_slow_follower_skips_to_the_newest(feed: Feed, present: Present, broadcast: LocalBroadcast):
    slow, quick = Follower(), Taking(feed)
    feed.join(slow)
    for value in range(4):
        present.value = value
        await broadcast.publish("totals", ["7"])
        await quick.until(value)
    news = slow.take()
    assert news is not None
    assert orjson.loads(news.text) == {"data": {"value": 3}}
    assert slow.take() is None


async def test_the_last_answer_ends_it(feed: Feed, present: Present, broadcast: LocalBroadcast):
    taking = Taking(feed)
    await taking.until(0)
    present.value, present.last = 1, True
    await broadcast.publish("totals", ["7"])
    await taking.until(1)
    await asyncio.wait_for(feed.task, 1)
    feed.finish()
    await asyncio.wait_for(taking.task, 1)


@pytest.mark.parametrize("raised", [True, False])
async def test_followers_keep_what_they_have_while_the_database_is_away(broadcast: LocalBroadcast, raised: bool):
    away = 3
    errors = [{"message": "away", "extensions": {"code": "UNAVAILABLE"}}]

    async def compute() -> tuple[Answer, bool]:
        nonlocal away
        away -= 1
        if away >= 0 and raised:
            raise DatabaseUnavailable("away")
        if away >= 0:
            return Answer(executed=True, data=None, errors=errors), True
        return Answer(executed=True, data={"value": "back"}, errors=[]), True

    feed = Feed(compute, source=Source(("totals",), "7"), broadcast=broadcast, retry_seconds=0.01)
    taking = Taking(feed)
    await asyncio.wait_for(feed.run(), 5)
    await taking.until("back")
    assert taking.values == ["back"]
    taking.task.cancel()


# ------------------------------------------------------------------------------------------------ of a whole process


TOLD = "subscription ($id: ID!) { job(id: $id) { status progress } }"


@pytest.fixture
async def feeds(schema: GraphSchema, services: Services, settings: Settings) -> Feeds:
    return Feeds(Operations(schema, settings), services.jobs._broadcast, most=100)


async def job_of(services: Services, clock) -> tuple[int, str]:
    made = await services.jobs.create("analysis", {}, at=clock.now())
    return made.id, f"job_{made.id}"


async def entered(feeds: Feeds, request: Request, context: Context) -> tuple[Any, Follower]:
    follower = Follower()
    following = feeds.follow(request, context, follower)
    assert await following.__aenter__() is None
    return following, follower


async def newest(follower: Follower) -> Any:
    await asyncio.wait_for(follower.wait(), 5)
    news = follower.take()
    return None if news is None else orjson.loads(news.text)["data"]


async def test_the_same_asked_by_many_is_executed_once_a_change(
    feeds: Feeds, services: Services, context: Context, statements, clock
):
    number, id_ = await job_of(services, clock)
    followings = [await entered(feeds, Request(TOLD, {"id": id_}, None), context) for _ in range(30)]
    assert len(feeds) == 1
    for _, follower in followings:
        assert (await newest(follower))["job"]["progress"] == 0
    with statements.watched() as seen:
        await services.jobs.update(number, progress=0.5, at=clock.now())
        for _, follower in followings:
            assert (await newest(follower))["job"]["progress"] == 0.5
    assert len(seen) <= 3  # the update, whether it has ended, the answer
    for following, _ in followings:
        await following.__aexit__(None, None, None)
    assert len(feeds) == 0


async def test_other_roles_variables_and_documents_have_feeds_of_their_own(
    feeds: Feeds, services: Services, context: Context, clock
):
    _, first = await job_of(services, clock)
    _, second = await job_of(services, clock)
    asked = [
        (Request(TOLD, {"id": first}, None), context),
        (Request(TOLD, {"id": second}, None), context),
        (Request(TOLD + " ", {"id": first}, None), context),
        (Request(TOLD, {"id": first}, None), Context(ANALYST, services)),
        (Request(TOLD, {"id": first}, None), Context(Principal(3, "another", Role.ANALYST), services)),
    ]
    followings = [await entered(feeds, request, by) for request, by in asked]
    assert len(feeds) == 4
    for following, follower in followings:
        assert (await newest(follower))["job"]["status"] == "QUEUED"
        await following.__aexit__(None, None, None)


async def test_nothing_runs_when_nobody_follows(feeds: Feeds, services: Services, context: Context, statements, clock):
    number, id_ = await job_of(services, clock)
    before = asyncio.all_tasks()
    following, follower = await entered(feeds, Request(TOLD, {"id": id_}, None), context)
    await newest(follower)
    assert len(asyncio.all_tasks()) > len(before)
    await following.__aexit__(None, None, None)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() <= before
    with statements.watched() as seen:
        await services.jobs.update(number, progress=0.5, at=clock.now())
        await asyncio.sleep(0.3)
    assert len(seen) == 1


async def test_a_failure_of_our_own_is_masked_and_ends_the_feed(
    feeds: Feeds, services: Services, context: Context, clock, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_: object) -> Answer:
        raise RuntimeError("secret")

    _, id_ = await job_of(services, clock)
    monkeypatch.setattr(feeds._operations, "execute_event", fail)
    _, follower = await entered(feeds, Request(TOLD, {"id": id_}, None), context)
    await asyncio.wait_for(follower.wait(), 5)
    news = follower.take()
    assert news is not None
    assert b"INTERNAL_ERROR" in news.text
    assert b"secret" not in news.text
    assert await newest(follower) is None
    assert follower.finished
    assert len(feeds) == 0


async def test_past_the_most_feeds_another_is_refused_and_the_known_are_followed(
    schema: GraphSchema, services: Services, settings: Settings, context: Context, clock
):
    feeds = Feeds(Operations(schema, settings), services.jobs._broadcast, most=1)
    _, id_ = await job_of(services, clock)
    first, _ = await entered(feeds, Request(TOLD, {"id": id_}, None), context)
    again, _ = await entered(feeds, Request(TOLD, {"id": id_}, None), context)
    other = Request("subscription ($id: ID!) { job(id: $id) { status } }", {"id": id_}, None)
    async with feeds.follow(other, context, Follower()) as refused:
        assert refused is not None
        assert refused.errors[0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 10.0}
    assert len(feeds) == 1
    for following in (first, again):
        await following.__aexit__(None, None, None)
    following, _ = await entered(feeds, other, context)
    await following.__aexit__(None, None, None)
