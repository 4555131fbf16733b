"""A standby that became a server of its own is left for good; after this, the others' standby follows no more."""

import asyncio


async def test_one_that_was_promoted_is_left(servers, open_replicated) -> None:
    async with open_replicated() as database:
        async with asyncio.timeout(15):
            while database.replica.choose() is None:  # noqa: ASYNC110  # see test_replica
                await asyncio.sleep(0.02)
            await servers.on_standby("SELECT pg_promote()")
            while database.replica.choose() is not None:  # noqa: ASYNC110  # see test_replica
                await asyncio.sleep(0.02)
        assert "promoted" in database.replica.state["reason"]
