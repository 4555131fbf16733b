import gzip

import httpx
import pytest
from starlette.applications import Starlette

from app.operations.dashboard import dashboard_routes

SCRIPT = b"console.log(1);" * 100
PACKED = gzip.compress(SCRIPT)


@pytest.fixture
def built(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Winnow</title>")
    (tmp_path / "assets" / "main-1a2b.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "main-1a2b.js.gz").write_bytes(PACKED)
    (tmp_path / "assets" / "main-1a2b.js.br").write_bytes(b"brotli")
    (tmp_path / "assets" / "icon-3c4d.svg").write_text("<svg/>")
    return tmp_path


@pytest.fixture
def client(built):
    transport = httpx.ASGITransport(Starlette(routes=dashboard_routes(built)))
    return httpx.AsyncClient(transport=transport, base_url="http://winnow", headers={"Accept-Encoding": "identity"})


@pytest.mark.parametrize("path", ["/", "/campaigns", "/campaigns/a-key", "/tests", "/tests/a/b", "/recommendations"])
async def test_the_page_is_at_each_of_its_addresses(client, path):
    async with client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert "Winnow" in answer.text


@pytest.mark.parametrize(
    "path", ["/elsewhere", "/campaignsx", "/index.html", "/assets/none.js", "/assets/..%2findex.html"]
)
async def test_other_addresses_are_not_its(client, path):
    async with client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/", "/assets/main-1a2b.js", "/assets/none.js"])
async def test_every_answer_forbids_inline_scripts_framing_and_guessing(client, path):
    async with client:
        headers = (await client.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "encoding", "content"),
    [
        ("identity", None, SCRIPT),
        ("gzip", "gzip", SCRIPT),
        ("gzip;q=1.0, br;q=0", "gzip", SCRIPT),
        ("deflate", None, SCRIPT),
    ],
)
async def test_assets_come_compressed_where_that_is_understood(client, accepted, encoding, content):
    async with client:
        answer = await client.get("/assets/main-1a2b.js", headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding"), answer.content) == (encoding, content)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_brotli_is_preferred(client):
    async with client, client.stream("GET", "/assets/main-1a2b.js", headers={"Accept-Encoding": "gzip, br"}) as answer:
        assert answer.headers["content-encoding"] == "br"
        assert b"".join([part async for part in answer.aiter_raw()]) == b"brotli"


async def test_assets_are_kept_for_ever_and_have_their_types(client):
    async with client:
        answer = await client.get("/assets/icon-3c4d.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_a_page_that_is_known_is_not_sent_again(client):
    async with client:
        known = (await client.get("/")).headers["etag"]
        answer = await client.get("/", headers={"If-None-Match": known})
        other = await client.get("/", headers={"If-None-Match": '"another"'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", known)
    assert other.status_code == 200


async def test_without_a_build_the_page_says_how_to_make_one(tmp_path):
    transport = httpx.ASGITransport(Starlette(routes=dashboard_routes(tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://winnow") as client:
        answer = await client.get("/")
    assert "scripts/dashboard build" in answer.text


async def test_a_build_made_meanwhile_is_served(tmp_path):
    transport = httpx.ASGITransport(Starlette(routes=dashboard_routes(tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://winnow") as client:
        await client.get("/")
        (tmp_path / "index.html").write_text("built now")
        assert (await client.get("/")).text == "built now"


async def test_the_real_server_serves_it_beside_its_other_doors(server):
    async with httpx.AsyncClient(base_url=server.url) as client:
        pages = [await client.get(path) for path in ("/", "/tests/a-key")]
        graph = await client.get("/graphql", headers={"Accept": "text/html"})
        alive = await client.get("/healthz")
    assert {page.headers["content-type"] for page in pages} == {"text/html; charset=utf-8"}
    assert {page.headers["cache-control"] for page in pages} == {"no-cache"}
    assert "GraphiQL" in graph.text
    assert alive.json() == {"status": "alive"}
