"""Clients that leave while they send: one line in the log with the status 499, and no stack trace."""

import socket
import struct

import pytest

DOORS = ["/graphql", "/graphql/stream", "/v1/events", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/a"]


def leave(connection: socket.socket, *, politely: bool) -> None:
    """Close, or reset, as a killed process or a lost network does."""
    if not politely:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def gone(target, path: str) -> float:
    route = "/ofrep/v1/evaluate/flags/{key}" if path.endswith("/a") else path
    wanted = f'winnow_http_requests_total{{method="POST",route="{route}",status="499"}} '
    found = [line for line in target.get("/metrics").text.splitlines() if line.startswith(wanted)]
    return float(found[0].split()[-1]) if found else 0.0


@pytest.mark.parametrize("politely", [True, False], ids=["closed", "reset"])
@pytest.mark.parametrize("path", DOORS)
def test_a_body_that_is_broken_off_leaves_one_line(target, wait_until, path, politely) -> None:
    lines, count, length = len(target.requests(path)), gone(target, path), len(target.log())
    with target.connected() as connection:
        connection.sendall(target.head("POST", path, Content_Type="application/json", Content_Length="100000"))
        connection.sendall(b'{"query": "{ __typename }"' + b" " * 1_000)
        leave(connection, politely=politely)
    wait_until(lambda: gone(target, path) == count + 1)
    written = target.log()[length:]
    assert "Traceback" not in written
    assert "ClientDisconnect" not in written
    if not path.startswith("/ofrep"):  # which writes no lines
        assert [line["status"] for line in target.requests(path)[lines:]] == [499]


def test_events_before_the_break_are_kept_and_may_be_sent_again(target, attacker, wait_until) -> None:
    line = '{"id":"broken-%d","type":"OPENED","userId":"u","occurredAt":"2026-01-01T00:00:00Z"}\n'
    whole = "".join(line % n for n in range(5_000)).encode()
    lines = len(target.requests("/v1/events"))
    with target.connected() as connection:
        connection.sendall(target.head("POST", "/v1/events", Content_Length=str(len(whole))) + whole[:-20])
    wait_until(lambda: target.requests("/v1/events")[lines:])

    answer = target.post("/v1/events", content=whole, headers=target.headers).json()
    assert answer["accepted"] + answer["duplicates"] == 5_000
    assert answer["rejected"] == []


def test_requests_sent_at_once_and_left_without_reading_leave_no_trace(target) -> None:
    length = len(target.log())
    body = b'{"query": "{ __schema { types { name fields { name } } } }"}'
    head = target.head("POST", "/graphql", Content_Type="application/json", Content_Length=str(len(body)))
    for politely in (True, False):
        connection = socket.create_connection(target.address)
        connection.sendall((head + body) * 20)
        connection.recv(1)
        leave(connection, politely=politely)
    assert target.post("/graphql", json={"query": "{ __typename }"}, headers=target.headers).is_success
    assert "Traceback" not in target.log()[length:]
