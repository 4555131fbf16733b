"""Requests that come at once are stored together, and answered each for itself."""

import asyncio

import pytest

from app.errors import DatabaseUnavailable, RateLimited
from app.ingestion.writer import GroupCommit


class Store:
    """Doubles numbers, slowly; a negative one cannot be stored."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.together = self.most_together = 0
        self.unavailable = False

    async def __call__(self, requests):
        self.calls.append(list(requests))
        self.together += 1
        self.most_together = max(self.together, self.most_together)
        await asyncio.sleep(0.002)
        self.together -= 1
        if self.unavailable:
            raise DatabaseUnavailable("gone.")
        if any(request < 0 for request in requests):
            raise ValueError("negative")
        return [request * 2 for request in requests]


async def test_what_waits_is_merged_and_a_single_request_does_not_wait():
    store = Store()
    commit = GroupCommit(store, writers=1)
    answers = await asyncio.gather(*(commit.submit(n, size=1) for n in range(50)))
    assert answers == [n * 2 for n in range(50)]
    assert store.calls[0] == [0] or store.calls == [list(range(50))]
    assert len(store.calls) <= 2


async def test_no_more_is_merged_than_allowed_unless_one_alone_is_larger():
    store = Store()
    commit = GroupCommit(store, writers=1, max_merged=10)
    sizes = [3, 3, 3, 3, 25, 3]
    await asyncio.gather(*(commit.submit(n, size=size) for n, size in enumerate(sizes)))
    assert all(sum(sizes[n] for n in call) <= 10 or len(call) == 1 for call in store.calls)
    assert sorted(n for call in store.calls for n in call) == list(range(6))


async def test_no_more_writers_than_allowed_and_none_is_left_waiting():
    store = Store()
    commit = GroupCommit(store, writers=3, max_merged=2)

    async def send() -> None:
        for n in range(20):
            assert await commit.submit(n, size=1) == 2 * n

    await asyncio.wait_for(asyncio.gather(*(send() for _ in range(8))), 10)
    assert store.most_together == 3


async def test_a_submission_while_the_last_writer_ends_is_stored():
    async def at_once(requests):
        return requests

    commit = GroupCommit(at_once, writers=1)
    for n in range(500):
        assert await asyncio.wait_for(commit.submit(n, size=1), 1) == n


async def test_one_that_fails_fails_alone():
    commit = GroupCommit(Store(), writers=1)
    answers = await asyncio.gather(*(commit.submit(n, size=1) for n in (0, 1, -1, 2)), return_exceptions=True)
    assert [answers[0], answers[1], answers[3]] == [0, 2, 4]
    assert isinstance(answers[2], ValueError)


async def test_a_database_that_does_not_answer_is_not_asked_for_each_alone():
    store = Store()
    store.unavailable = True
    commit = GroupCommit(store, writers=1)
    answers = await asyncio.gather(*(commit.submit(n, size=1) for n in range(9)), return_exceptions=True)
    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
    assert len(store.calls) <= 2
    store.unavailable = False
    assert await commit.submit(4, size=1) == 8


async def test_a_requester_that_goes_away_harms_nobody():
    store = Store()
    commit = GroupCommit(store, writers=1)
    leaving = asyncio.create_task(commit.submit(1, size=1))
    staying = asyncio.create_task(commit.submit(2, size=1))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 4
    await commit.drain()
    assert sorted(n for call in store.calls for n in call) == [1, 2]


async def test_too_much_waiting_turns_new_requests_away_until_it_is_stored():
    commit = GroupCommit(Store(), writers=1, max_waiting=10)
    commit.admit()
    waiting = asyncio.create_task(commit.submit(1, size=10))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as refused:
        commit.admit()
    assert refused.value.retry_after > 0
    await waiting
    await commit.drain()
    commit.admit()
