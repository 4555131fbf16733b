"""Whether the wheel works where there is no repository: python scripts/wheel.py.

Builds it, installs it with the pinned versions into an environment of its own in a temporary folder, and there, from
another folder: `winnow --help`; `winnow serve` with its own PostgreSQL answers a query and serves the dashboard and
GraphiQL, with the files that their pages name; `winnow demo --size 0.02` answers about its world. Both end cleanly.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = Path(sys.prefix) / "bin" / "uv"
KEY = "wnw_" + "w" * 40
ASSET = re.compile(r'(?:src|href)="(\.?/[^"]+\.(?:js|css))"')
READY = re.compile(r"Winnow is ready at (http://\S+)/graphql")
DEMO = "{ topCampaigns(by: ROI, first: 1) { campaign { name } } tests(first: 1) { totalCount } }"


def main() -> None:
    """Check, or exit and say what is wrong."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="winnow-wheel-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL of another user lives in it
        wheel = built(folder)
        said(f"built {wheel.name}", started)
        winnow = installed(wheel, folder)
        said("installed", started)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        help_ = run([winnow, "--help"], cwd=elsewhere)
        check("serve" in help_, help_)
        place = run([winnow.with_name("python"), "-c", "import app; print(app.__file__)"], cwd=elsewhere)
        check(place.startswith(str(folder)), f"the package was taken from {place}")
        with serving([winnow, "serve"], elsewhere, data=folder / "data") as address:
            said("serving", started)
            looked_at(address)
        with serving([winnow, "demo", "--size", "0.02"], elsewhere, data=folder / "demo") as address:
            said("demo loaded", started)
            shown(address)
        said("works", started)


def check(kept: bool, otherwise: object) -> None:
    """Exit with what was found instead, unless it is as it must be."""
    if not kept:
        raise SystemExit(f"The wheel does not work as it must: {otherwise}")


def said(what: str, started: float) -> None:
    """Say how far it is."""
    print(f"{time.monotonic() - started:5.1f} s  {what}", flush=True)


def built(folder: Path) -> Path:
    """Return the wheel."""
    uv("build", "--wheel", "--out-dir", str(folder / "dist"), str(ROOT))
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def installed(wheel: Path, folder: Path) -> Path:
    """Return the command, installed into a new environment."""
    environment = folder / "environment"
    uv("venv", "--python", sys.executable, str(environment))
    python = environment / "bin" / "python"
    uv("pip", "install", "--python", str(python), "--constraint", str(ROOT / "constraints.txt"), str(wheel))
    return environment / "bin" / "winnow"


def uv(command: str, *arguments: str) -> None:
    """Run uv: from what it has kept, else with the network."""
    for options in (("--offline",), ()):
        done = subprocess.run(
            [UV, command, *arguments, "--quiet", *options], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    raise SystemExit(f"uv {command} failed: {done.stderr}")


def bare_environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing leads to the repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WINNOW", "DATABASE"))}
    return kept | more


def run(command: list, *, cwd: Path) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, cwd=cwd, env=bare_environment(), capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{command}: {done.stderr}")
    return done.stdout


@contextmanager
def serving(command: list, cwd: Path, *, data: Path) -> Iterator[str]:
    """Run a server on a free port until it is ready; afterwards it must end by itself, with success."""
    command = [*command, "--port", "0", "--data-dir", str(data)]
    environment = bare_environment(WINNOW_BOOTSTRAP_KEY=KEY, WINNOW_LOG_LEVEL="warning")
    with (
        (cwd / "log").open("w") as log,
        subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            found = next(filter(None, map(READY.search, process.stdout)), None)
            check(found is not None, f"{command} was never ready: {(cwd / 'log').read_text()[-2000:]}")
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            code = process.wait(30)
        check(code == 0, f"{command} ended with {code}: {(cwd / 'log').read_text()[-2000:]}")


def looked_at(address: str) -> None:
    """Ask a new server, and open its pages."""
    campaigns = asked(address, "{ campaigns(first: 1) { totalCount } }", KEY)
    check(campaigns == {"campaigns": {"totalCount": 0}}, campaigns)
    fetched(address, "/healthz")
    for path in ("/", "/graphql"):
        page = fetched(address, path, Accept="text/html")
        assets = ASSET.findall(page)
        check(assets, f"{path} names no script: {page[:500]}")
        for asset in assets:
            fetched(address, "/" + asset.lstrip("./"))


def shown(address: str) -> None:
    """Ask the demo about its world."""
    answer = asked(address, DEMO, KEY)
    check(answer["tests"]["totalCount"] >= 6, answer)
    check(answer["topCampaigns"][0]["campaign"]["name"], answer)


def asked(address: str, query: str, key: str) -> dict:
    """Return the data of an answer without errors."""
    body = json.dumps({"query": query}).encode()
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    answer = json.loads(fetched(address, "/graphql", body, **headers))
    check("errors" not in answer, answer)
    return answer["data"]


def fetched(address: str, path: str, body: bytes | None = None, **headers: str) -> str:
    """Return what a server answers."""
    request = urllib.request.Request(address + path, body, headers)  # noqa: S310  # this machine's, as the server said
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # the same
            return response.read().decode()
    except urllib.error.HTTPError as failure:
        raise SystemExit(f"{path}: {failure.code} {failure.read()[:500]!r}") from failure


if __name__ == "__main__":
    main()
