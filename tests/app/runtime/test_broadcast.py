import asyncio

from app.runtime.broadcast import MAX_PENDING_IDS, Change, LocalBroadcast, Subscribers, Subscription


async def next_change(changes: Subscription) -> Change:
    return await asyncio.wait_for(anext(changes), 1)


async def test_changes_reach_the_subscribers_of_their_topic():
    broadcast = LocalBroadcast()
    with broadcast.subscribe("tests") as tests, broadcast.subscribe("campaigns") as campaigns:
        await broadcast.publish("tests", ["1"])
        assert await next_change(tests) == Change(topic="tests", ids=frozenset("1"))
        await broadcast.publish("campaigns", ["2"])
        assert (await next_change(campaigns)).ids == {"2"}


async def test_what_happens_between_two_steps_is_merged():
    broadcast = LocalBroadcast()
    with broadcast.subscribe("tests") as changes:
        for number in range(1_000):
            await broadcast.publish("tests", [str(number % 3)])
        assert (await next_change(changes)).ids == {"0", "1", "2"}


async def test_a_subscriber_of_some_ids_hears_of_these_alone():
    broadcast = LocalBroadcast()
    with broadcast.subscribe("tests", ["7"]) as changes:
        await broadcast.publish("tests", ["8"])
        await broadcast.publish("tests", ["7", "9"])
        assert (await next_change(changes)).ids == {"7"}


async def test_a_subscriber_that_is_far_behind_reads_anew():
    subscription = Subscription("tests")
    subscription.deliver(map(str, range(MAX_PENDING_IDS + 1)))
    change = await next_change(subscription)
    assert change.reread
    assert not change.ids


async def test_reread_reaches_everybody_and_is_said_once():
    subscribers = Subscribers()
    with subscribers.subscribe("tests", ["7"]) as one, subscribers.subscribe("campaigns") as other:
        subscribers.deliver_reread()
        assert (await next_change(one)).reread
        assert (await next_change(other)).reread
        subscribers.deliver("tests", ["7"])
        assert not (await next_change(one)).reread


async def test_nothing_is_kept_for_those_who_left():
    subscribers = Subscribers()
    with subscribers.subscribe("tests"):
        pass
    assert not subscribers._by_topic
