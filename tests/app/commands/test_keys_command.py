import asyncio
import re
import threading

import pytest
from typer.testing import CliRunner

from app.commands.keys import command


@pytest.fixture(scope="module")
def line(cluster, template):
    """Run `winnow keys` with these arguments, on a database of its own."""
    name = f"{template}_keys"
    outside(cluster.create(name, template=template))
    variables = {"DATABASE_URL": cluster.database_url(name), "COLUMNS": "200"}
    yield lambda *arguments: CliRunner().invoke(command, [*arguments], env=variables)
    outside(cluster.drop(name))


def outside(work):
    """Run a coroutine outside of the tests' own event loop: a command starts its own."""
    thread = threading.Thread(target=lambda: asyncio.run(work))
    thread.start()
    thread.join()


def test_a_key_is_printed_once_and_alone_on_standard_output(line):
    made = line("create", "mobile app", "--role", "client")
    assert made.exit_code == 0
    assert re.fullmatch(r"wnw_[A-Za-z0-9_-]{40}\n", made.stdout)
    listed = line("list")
    assert "mobile app" in listed.stdout
    assert made.stdout.strip() not in listed.stdout
    assert made.stdout[:8] in listed.stdout


def test_a_revoked_key_is_shown_as_such(line):
    line("create", "gone", "--role", "sender")
    number = next(row.split()[0] for row in line("list").stdout.splitlines() if "gone" in row)
    assert "is revoked" in line("revoke", number).stdout
    (row,) = [row for row in line("list").stdout.splitlines() if "gone" in row]
    assert re.search(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}\s+\d{4}-\d{2}-\d{2} \d{2}:\d{2}\s*$", row)


@pytest.mark.parametrize(
    "arguments", [("create", ""), ("create", "x", "--role", "king"), ("revoke", "987654"), ("revoke", "x")]
)
def test_what_cannot_be_is_refused(line, arguments):
    assert line(*arguments).exit_code != 0
