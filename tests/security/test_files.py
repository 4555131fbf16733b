"""Doors that give out files: only those meant for it, under no other name, and with headers that keep them harmless."""

from pathlib import Path

import pytest

SECRETS = ("root:", "import ", "[project]", "PostgreSQL", "SELECT ")
UP = [
    "..",
    "%2e%2e",
    "%2E.",
    "..%2f..",
    "..%5c..",
    "%252e%252e",
    "....",
    "..;",
    "%c0%ae%c0%ae",
    "..%00",
    "%2e%2e%2f%2e%2e",
]
BEYOND = [
    "http.py",
    "etc/passwd",
    "pyproject.toml",
    "dashboard.py",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "unbuilt.html%00.js",
]
BASES = ["/graphql/static", "/assets", "/campaigns", "/v1/export/tests", "/v1/export/tests/t"]
STRANGE = ["%00", "a%00.js", "x" * 5_000, "a" * 300 + ".js", "%0d%0aSet-Cookie:a=b", "%ff", "con", "~root", "*", "."]


def asked(target, path: str) -> tuple[int, dict[str, str], bytes]:
    """Ask for a path exactly as it is written, by the bare socket: clients tidy paths up."""
    with target.connected() as connection:
        connection.sendall(target.head("GET", path, Connection="close"))
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize("base", BASES)
def test_no_path_leads_out_of_what_is_given_out(target, base) -> None:
    for up in UP:
        for depth, beyond in enumerate(BEYOND, start=1):
            path = f"{base}/{'/'.join([up] * depth)}/{beyond}"
            status, headers, body = asked(target, path)
            page = base == "/campaigns" and headers["content-type"].startswith("text/html")
            assert status in {400, 404} or page, path
            assert page or not any(secret.encode() in body for secret in SECRETS), path


@pytest.mark.parametrize(
    "base", ["/graphql/static", "/assets", "/v1/export/tests", "/v1/export/tests/t", "/ofrep/v1/x", ""]
)
@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_strange_names_are_not_found(target, base, name) -> None:
    status, headers, _ = asked(target, f"{base}/{name}")
    assert status in {400, 404}
    assert "set-cookie" not in headers


def test_static_files_are_taken_for_nothing_else(target) -> None:
    for name in ("page.js", "page.css"):
        status, headers, _ = asked(target, f"/graphql/static/{name}")
        assert status == 200
        assert headers["x-content-type-options"] == "nosniff"
    assert (Path(__file__).parents[2] / "graph" / "static" / "page.js").is_file()


@pytest.mark.parametrize("path", ["/", "/campaigns", "/tests/t", "/recommendations", "/graphql"])
def test_pages_may_run_only_their_own_scripts_and_stand_in_no_other_page(target, path) -> None:
    with target.connected() as connection:
        connection.sendall(target.head("GET", path, Accept="text/html", Connection="close"))
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head = answer.partition(b"\r\n\r\n")[0].decode()
    assert head.startswith("HTTP/1.1 200")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head.split("\r\n")[1:])}
    policy = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    scripts = policy.get("script-src", policy["default-src"])
    assert scripts in {"'self'", "'none'"}
    assert policy.get("connect-src", policy["default-src"]) == "'self'"
    for nobody in ("frame-ancestors", "base-uri", "form-action"):
        assert policy[nobody] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "server" not in headers


async def test_exports_need_the_permission_and_name_no_path(target, attacker) -> None:
    refused = await attacker.get("/v1/export/tests/t/results.csv", headers={"Authorization": "Bearer none"})
    assert refused.status_code == 401
    for file in ("results.exe", "results", "api_key.csv", "assignments.csv.csv", "..csv", "results.CSV"):
        assert (await attacker.get(f"/v1/export/tests/t/{file}")).status_code == 404
