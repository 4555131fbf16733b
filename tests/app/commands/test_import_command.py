"""`winnow import` and `winnow rebuild-totals`, from files to totals, through the command line."""

import asyncio
import importlib
import threading

import asyncpg
import pytest
import typer
from typer.testing import CliRunner

from app.commands import rebuild_totals

MERCHANTS = "key,name,kind,lat,lon\nbakery,Bakery,food,48.1,11.5\n,No key,food,1,1\nbakery,Again,food,,\n"
CAMPAIGNS = (
    '{"code": "spring", "title": "Spring", "shop": "bakery", "via": "PUSH|EMAIL", "cents": 500, "on": "2025-03-01"}\n'
    '{"code": "lost", "title": "Lost", "shop": "nowhere", "via": "PUSH", "cents": 500, "on": "2025-03-01"}\n'
    '{"code": "odd", "title": "Odd", "shop": "bakery", "via": "FAX", "cents": 500, "on": "2025-03-01"}\n'
)
USERS = "who,tier,zone\nann,gold,Europe/Paris\nbob,,Europe/Paris\ncyd,gold,Mars/Olympus\n"
EVENTS = "order,who,at,cents\n1,ann,2025-03-02T10:00,1250\n2,bob,2025-03-03T10:00,750\n3,ann,2025-03-09T10:00,-5\n"
MAPPINGS = {
    "merchants": 'key = "key"\nname = "name"\ncategory = "kind"\nlatitude = "lat"\nlongitude = "lon"\n',
    "campaigns": 'key = "code"\nname = "title"\nmerchantId = "shop"\nchannels = { column = "via", split = "|" }\n'
    'offerAmount = { column = "cents", scale = "0.01" }\nstartsAt = { column = "on", timezone = "UTC" }\n',
    "users": 'externalId = "who"\nsegment = "tier"\ntimezone = "zone"\n',
    "events": 'id = "order"\ntype = { constant = "CONVERTED" }\noccurredAt = { column = "at", timezone = "UTC" }\n'
    'userId = "who"\ncampaignId = { constant = "spring" }\nvalue = { column = "cents", scale = "0.01" }\n',
}
FILES = {"merchants.csv": MERCHANTS, "campaigns.jsonl": CAMPAIGNS, "users.csv": USERS, "events.csv": EVENTS}


def outside(work):
    """Run a coroutine outside of the tests' own event loop: a command starts its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(work)))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture(scope="module")
def url(cluster, template):
    name = f"{template}_import"
    outside(cluster.create(name, template=template))
    yield cluster.database_url(name)
    outside(cluster.drop(name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("import")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for kind, fields in MAPPINGS.items():
        (folder / f"{kind}.toml").write_text(f'kind = "{kind}"\n[fields]\n{fields}')
    return folder


@pytest.fixture
def run(url):
    """Run a command with these arguments, on a database of the module's own."""

    def run(command, *arguments):
        line = typer.Typer()
        line.command()(command)
        return CliRunner().invoke(line, [*map(str, arguments)], env={"DATABASE_URL": url, "COLUMNS": "200"})

    return run


async def _value(url: str, query: str):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def test_each_kind_comes_in_and_bad_rows_are_named(run, folder, url):
    command = importlib.import_module("app.commands.import").command
    says = {
        "merchants.csv": ("3 rows, 1 accepted, 1 there already, 1 refused", '"field":"key"'),
        "campaigns.jsonl": ("3 rows, 1 accepted, 0 there already, 2 refused", '"code":"NOT_FOUND"'),
        "users.csv": ("3 rows, 2 accepted, 0 there already, 1 refused", '"field":"timezone"'),
        "events.csv": ("3 rows, 2 accepted, 0 there already, 1 refused", '"field":"value"'),
    }
    for name, (summary, refused) in says.items():
        done = run(command, folder / name, "--mapping", folder / f"{name.split('.')[0]}.toml")
        assert done.exit_code == 0, done.output
        assert summary in done.stdout
        assert refused in (folder / f"{name}.rejected.jsonl").read_text()
    assert outside(_value(url, "SELECT sum(revenue_micros) FROM campaign_day")) == 20_000_000
    assert outside(_value(url, "SELECT segment FROM app_user WHERE external_id = 'ann'")) == "gold"
    assert outside(_value(url, "SELECT channels::text FROM campaign")) == "{1,2}"


def test_a_file_of_which_every_row_is_refused_is_a_failure(run, folder):
    command = importlib.import_module("app.commands.import").command
    (folder / "bad.csv").write_text("order,who,at,cents\n1,ann,never,1\n")
    done = run(command, folder / "bad.csv", "--mapping", folder / "events.toml", "--report", folder / "bad.report")
    assert done.exit_code == 1
    assert "not a time" in (folder / "bad.report").read_text()


def test_totals_are_checked_and_put_right(run, url):
    assert "Every total is what the events say" in run(rebuild_totals.command).stdout
    outside(_value(url, "UPDATE campaign_day SET revenue_micros = 1 RETURNING 1"))
    looked = run(rebuild_totals.command, "--check")
    assert (looked.exit_code, "differ" in looked.stdout) == (1, True)
    repaired = run(rebuild_totals.command)
    assert (repaired.exit_code, "put right" in repaired.stdout) == (0, True)
    assert outside(_value(url, "SELECT sum(revenue_micros) FROM campaign_day")) == 20_000_000
