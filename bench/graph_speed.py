"""The graph's part of the table: short rounds of bench.graph, with 1 and with 16 connections."""

import statistics
from collections.abc import Iterable

from bench.claims import Claim, Row
from bench.graph import Bench, Cell, measured, options_of

CONNECTIONS = (1, 16)
QUICKLY = ["--rounds", "3", "--seconds", "0.7", "--warming", "1.5"]
ASKED = {
    "Q1": "20 campaigns with tests and totals",
    "Q2": "one campaign with everything",
    "Q3": "the smallest question",
}
PEERS = {
    ("Q1", "PostGraphile"): 2.0,
    ("Q1", "Mercurius"): 1.0,
    ("Q1", "limit: tree, orjson"): round(1 / 1.5, 2),
    ("Q2", "PostGraphile"): 2.0,
    ("Q2", "Mercurius"): 1.0,
    ("Q2", "limit: tree, orjson"): round(1 / 1.5, 2),
    ("Q3", "Strawberry, tuned"): 1.0,
    ("Q3", "Apollo"): 1.0,
}
NAMES = {
    "PostGraphile": "PostGraphile 5",
    "Mercurius": "Mercurius with JIT",
    "Apollo": "Apollo Server",
    "limit: tree, orjson": "asyncpg and orjson alone",
    "Strawberry, tuned": "Strawberry, tuned",
}


def claim(question: str, server: str) -> Claim:
    """Return what is claimed of a question beside a server."""
    peer = NAMES[server]
    return Claim(
        name=f"graph: {ASKED[question]}; {peer}",
        unit="ms of CPU",
        peer=peer,
        promised=PEERS[question, server],
    )


CLAIMS = tuple(claim(*key) for key in PEERS)


def speed() -> list[Row]:
    """Measure with short rounds, and return the rows."""
    servers = ["Winnow", *dict.fromkeys(server for _, server in PEERS)]
    options = options_of([*QUICKLY, "--connections", *map(str, CONNECTIONS), "--servers", *servers])
    return list(rows(measured(options)))


def rows(bench: Bench) -> Iterable[Row]:
    """Return what was measured of each claim: medians of the rounds."""
    for question, server in PEERS:
        pairs, ratios = [], []
        for connections in CONNECTIONS:
            ours, theirs = (bench.found[Cell(question, connections, name)] for name in ("Winnow", server))
            pairs.append((statistics.median(one.cpu for one in ours), statistics.median(one.cpu for one in theirs)))
            ratios.append(statistics.median(b.cpu / a.cpu for a, b in zip(ours, theirs, strict=True)))
        yield claim(question, server).measured(*pairs, ratios=ratios)
