"""The dashboard in a browser: Debian's Chromium, the built page, the real server, the demo's world."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("WINNOW_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WORLD_SIZE = "0.1"
KEY_STORED_AS = "winnow-key"
AXE = ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
MILLISECONDS = 20_000

expect.set_options(timeout=MILLISECONDS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip(reason=f"no Chromium at {CHROMIUM}: WINNOW_CHROMIUM names one elsewhere")
    for item in items:
        if Path(__file__).parent in item.path.parents and not Path(CHROMIUM).exists():
            item.add_marker(missing)


@dataclass(frozen=True)
class Demo:
    """`winnow demo` in processes of its own."""

    url: str
    key: str
    process: subprocess.Popen[str]
    folder: Path

    def new_key(self, role: str) -> str:
        """Make a key of a role, as an operator does."""
        command = [sys.executable, "-m", "app.cli", "keys", "create", "e2e", "--role", role, "--data-dir", self.folder]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def running_demo(folder: Path, *, port: int = 0) -> Iterator[Demo]:
    """Run the demo on a port, with its world in a folder, until the context is left."""
    command = [sys.executable, "-m", "app.cli", "demo", "--data-dir", str(folder), "--size", WORLD_SIZE]
    with subprocess.Popen([*command, "--port", str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"Look at\s+(\S+)/\n\s+Key\s+(\S+)\n", said):
                    yield Demo(found[1], found[2], process, folder)
                    return
            pytest.fail(f"winnow demo did not start: {said}")
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.fixture(scope="session")
def start_demo() -> Callable[..., object]:
    """Run another demo: `with start_demo(folder, port=1234) as demo:`."""
    return running_demo


@pytest.fixture(scope="session")
def built() -> None:
    """The dashboard as its sources are now."""
    built = subprocess.run([ROOT / "scripts" / "dashboard", "build"], capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the dashboard could not be built: {built.stderr}")


@pytest.fixture(scope="session")
def demo(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo's world, with live traffic, and the dashboard at `demo.url`."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


type PageAt = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture
async def page_at(browser: Browser, demo: Demo) -> AsyncIterator[PageAt]:
    """Open the dashboard at a path, the key entered already.

    `await page_at("/tests", phone=True, dark=True, key=None, url=None)`; whatever the page writes to the console as an
    error, or throws, fails the test, unless `strict=False`.
    """
    contexts, faults = [], []

    async def open_page(
        path: str,
        *,
        phone: bool = False,
        dark: bool = False,
        key: str | None = demo.key,
        url: str = demo.url,
        strict: bool = True,
    ) -> Page:
        context = await browser.new_context(
            viewport=PHONE if phone else WIDE,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            locale="en-US",
            accept_downloads=True,
        )
        contexts.append(context)
        if key is not None:
            await context.add_init_script(f"sessionStorage.setItem({KEY_STORED_AS!r}, {key!r})")
        page = await context.new_page()
        page.set_default_timeout(MILLISECONDS)
        if strict:
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        await page.goto(url + path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert faults == []


async def serious_faults(page: Page) -> list[str]:
    """Return what axe finds that is serious or critical, in words."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], Awaitable[list[str]]]:
    """What axe-core finds serious on a page: `assert await axe(page) == []`."""
    return serious_faults


@pytest.fixture(scope="session")
def picture() -> Callable[[Page, str], Awaitable[None]]:
    """Keep a picture of the whole page as NAME.png in the folder that WINNOW_SCREENSHOTS names, where it names one."""

    async def take(page: Page, name: str) -> None:
        if folder := os.environ.get("WINNOW_SCREENSHOTS"):
            await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return take
