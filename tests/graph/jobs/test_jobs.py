"""Background work, asked for and followed to its end."""

import asyncio

import orjson
import pytest

from app.auth.principals import Principal, Role
from app.runtime.clock import ManualClock
from app.runtime.settings import Settings
from app.store.models.codes import JobStatus
from graph.context import Context, Services
from graph.live.feeds import Feeds
from graph.live.followers import Follower
from graph.operations import Answer, Operations, Request
from graph.schema import GraphSchema

JOB = "query ($id: ID!) { job(id: $id) { id kind status progress message createdAt finishedAt error } }"
FOLLOW = "subscription ($id: ID!) { job(id: $id) { status progress error } }"


async def test_a_job_is_seen_through_its_life(ask, services: Services, clock: ManualClock) -> None:
    made = await services.jobs.create("hierarchical analysis", {"test": 7}, requested_by="ann", at=clock.now())
    seen = (await ask(JOB, id=f"job_{made.id}"))["data"]["job"]
    assert seen == {
        "id": f"job_{made.id}",
        "kind": "hierarchical analysis",
        "status": "QUEUED",
        "progress": 0.0,
        "message": None,
        "createdAt": "2026-01-01T00:00:00Z",
        "finishedAt": None,
        "error": None,
    }
    clock.advance(60)
    await services.jobs.update(made.id, JobStatus.RUNNING, progress=0.25, message="sampling", at=clock.now())
    seen = (await ask(JOB, id=f"job_{made.id}"))["data"]["job"]
    assert (seen["status"], seen["progress"], seen["message"]) == ("RUNNING", 0.25, "sampling")
    clock.advance(60)
    await services.jobs.update(made.id, JobStatus.SUCCEEDED, result={"analysis": 1}, at=clock.now())
    seen = (await ask(JOB, id=f"job_{made.id}"))["data"]["job"]
    assert (seen["status"], seen["progress"], seen["finishedAt"]) == ("SUCCEEDED", 1.0, "2026-01-01T00:02:00Z")


async def test_an_ended_job_does_not_change(services: Services, clock: ManualClock) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    ended = await services.jobs.update(made.id, JobStatus.FAILED, error="No data.", at=clock.now())
    clock.advance(60)
    assert await services.jobs.update(made.id, JobStatus.RUNNING, progress=0.5, at=clock.now()) is None
    assert (await services.jobs.jobs([made.id]))[made.id] == ended


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
async def test_progress_is_a_fraction(services: Services, clock: ManualClock, progress: float) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    with pytest.raises(ValueError, match="fraction"):
        await services.jobs.update(made.id, progress=progress, at=clock.now())


@pytest.mark.parametrize("id_", ["job_1", "tst_1", "x", "", "job_999999999999999999"])
async def test_no_such_job(ask, id_: str) -> None:
    answer = await ask(JOB, id=id_)
    assert answer["data"] == {"job": None}
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_only_who_may_read_jobs(ask, services: Services, clock: ManualClock) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    answer = await ask(JOB, by=Principal(5, "app", Role.CLIENT), id=f"job_{made.id}")
    assert answer["errors"][0]["extensions"]["code"] == "NOT_ALLOWED"


@pytest.fixture
def feeds(schema: GraphSchema, services: Services, settings: Settings) -> Feeds:
    return Feeds(Operations(schema, settings), services.jobs._broadcast, most=100)


async def taken(follower: Follower) -> dict | None:
    await asyncio.wait_for(follower.wait(), 5)
    news = follower.take()
    return None if news is None else orjson.loads(news.text)["data"]["job"]


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
async def test_following_ends_when_the_job_does(
    feeds: Feeds, services: Services, context: Context, clock: ManualClock, status: JobStatus
) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    follower = Follower()
    async with feeds.follow(Request(FOLLOW, {"id": f"job_{made.id}"}, None), context, follower) as refused:
        assert refused is None
        assert await taken(follower) == {"status": "QUEUED", "progress": 0.0, "error": None}
        await services.jobs.update(made.id, JobStatus.RUNNING, progress=0.5, at=clock.now())
        assert await taken(follower) == {"status": "RUNNING", "progress": 0.5, "error": None}
        await services.jobs.update(made.id, status, error="why" if status is JobStatus.FAILED else None, at=clock.now())
        last = await taken(follower)
        assert last is not None
        assert last["status"] == status
        assert await taken(follower) is None


async def test_following_an_ended_job_tells_once_and_completes(
    feeds: Feeds, services: Services, context: Context, clock: ManualClock
) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    await services.jobs.update(made.id, JobStatus.CANCELLED, at=clock.now())
    follower = Follower()
    async with feeds.follow(Request(FOLLOW, {"id": f"job_{made.id}"}, None), context, follower):
        assert await taken(follower) == {"status": "CANCELLED", "progress": 0.0, "error": None}
        assert await taken(follower) is None


async def test_following_needs_the_permission(
    feeds: Feeds, services: Services, context: Context, clock: ManualClock
) -> None:
    made = await services.jobs.create("training", {}, at=clock.now())
    by = Context(Principal(5, "app", Role.SENDER), services)
    request = Request(FOLLOW, {"id": f"job_{made.id}"}, None)
    async with feeds.follow(request, by, Follower()) as refused:
        assert isinstance(refused, Answer)
        assert refused.errors[0]["extensions"]["code"] == "NOT_ALLOWED"
