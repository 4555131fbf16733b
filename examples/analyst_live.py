"""Follow an A/B test and draw it as it comes in: websockets and matplotlib, nothing of Winnow's.

    python examples/analyst_live.py URL KEY TEST [--states 20] [--output live.png]

URL is the graph's, such as http://127.0.0.1:8000/graphql; KEY an analyst's; TEST a test's id or key. The chart, drawn
anew with each state, shows each variant's probability to be best and its mean over time. It stops after so many states,
or when the test has ended, or with Ctrl-C.
"""

# %% What to follow
import argparse
import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

import matplotlib.pyplot as plt
import websockets

QUERY = """
subscription ($test: ID!) {
  testResults(testId: $test, maxPerSecond: 1) {
    asOf
    metric { name }
    totals { variant { key } exposed mean }
    bayesian { variants { variant { key } probabilityBest } }
    verdict { decision reasons }
  }
}
"""


class Refused(Exception):
    """Winnow does not let this be followed; trying again would not help."""


# %% Follow it: the present state first, then each change; after a lost connection the present state again
async def states(url: str, key: str, test: str) -> AsyncGenerator[dict]:
    """Yield the test's results, for ever; a lost connection is made again, waiting longer each time."""
    address = url.replace("http", "ws", 1)
    async for socket in websockets.connect(address, subprotocols=["graphql-transport-ws"]):
        try:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {key}"}}))
            subscribe = {"query": QUERY, "variables": {"test": test}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": subscribe}))
            async for text in socket:
                message = json.loads(text)
                match message["type"]:
                    case "next" if message["payload"].get("data"):
                        yield message["payload"]["data"]["testResults"]
                    case "next" | "error":
                        raise Refused(message["payload"])
                    case "complete":
                        return
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None and 4400 <= closed.rcvd.code < 4500:
                raise Refused(closed.rcvd.reason) from closed


# %% Draw it
def draw(seen: list[dict], output: str) -> None:
    """Draw every state seen so far."""
    figure, (best, rate) = plt.subplots(2, 1, sharex=True, figsize=(8, 6), layout="constrained")
    times = [datetime.fromisoformat(state["asOf"]) for state in seen]
    keys = [total["variant"]["key"] for total in seen[-1]["totals"]]
    for index, key in enumerate(keys):
        rate.plot(times, [state["totals"][index]["mean"] for state in seen], marker=".", label=key)
        best.plot(times, [probability(state, key) for state in seen], marker=".", label=key)
    best.set(title="Probability to be best", ylim=(-0.02, 1.02))
    rate.set(title=seen[-1]["metric"]["name"])
    best.legend()
    figure.autofmt_xdate()
    figure.savefig(output)
    plt.close(figure)


def probability(state: dict, key: str) -> float:
    """Return a variant's probability to be best; not a number before the data can bear one."""
    variants = (state["bayesian"] or {"variants": []})["variants"]
    return next((one["probabilityBest"] for one in variants if one["variant"]["key"] == key), float("nan"))


# %% All together
async def main() -> None:
    """Follow, draw, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("test")
    parser.add_argument("--states", type=int, default=20)
    parser.add_argument("--output", default="live.png")
    given = parser.parse_args()
    seen: list[dict] = []
    async with aclosing(states(given.url, given.key, given.test)) as following:
        async for state in following:
            seen.append(state)
            draw(seen, given.output)
            counts = ", ".join(f"{total['variant']['key']} {total['exposed']}" for total in state["totals"])
            print(f"{state['asOf']}  {counts}  {state['verdict']['decision']}", flush=True)
            if len(seen) >= given.states:
                return


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Refused as refused:
        raise SystemExit(f"Winnow refuses: {refused}") from refused
