"""What surrounds every page: the key, the navigation, colours, and a connection that comes and goes."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from playwright.async_api import expect


@contextmanager
def going_on_at_the_end(pid: int) -> Iterator[Callable[[], list[psutil.Process]]]:
    """Give a server's processes to be suspended; whatever happens, they go on at the end."""

    def family() -> list[psutil.Process]:
        return psutil.Process(pid).children(recursive=True)

    try:
        yield family
    finally:
        for process in family():
            process.resume()


async def test_a_key_is_asked_for_once_and_never_in_the_address(page_at, demo) -> None:
    page = await page_at("/campaigns?interval=WEEK", key=None)
    await page.get_by_label("Key").fill(demo.key)
    await page.get_by_role("button", name="Open the dashboard").click()
    await expect(page.get_by_role("heading", level=1, name="Campaigns")).to_be_visible()
    assert page.url == f"{demo.url}/campaigns?interval=WEEK"
    await page.reload()
    await expect(page.get_by_role("heading", level=1, name="Campaigns")).to_be_visible()
    assert await page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


async def test_a_wrong_key_is_refused_in_words(page_at) -> None:
    page = await page_at("/", key=None, strict=False)
    await page.get_by_label("Key").fill("wnw_" + "x" * 40)
    await page.get_by_role("button", name="Open the dashboard").click()
    await expect(page.get_by_role("alert")).to_contain_text("not known")
    assert await page.evaluate("sessionStorage.length") == 0


async def test_a_key_that_is_no_longer_accepted_is_asked_for_again(page_at) -> None:
    page = await page_at("/campaigns", key="wnw_" + "y" * 40, strict=False)
    await expect(page.get_by_role("alert")).to_contain_text("no longer accepted")


@pytest.mark.parametrize("path", ["/", "/campaigns", "/tests", "/recommendations"])
async def test_every_page_can_be_opened_by_its_address(page_at, path: str) -> None:
    page = await page_at(path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()


async def test_pages_are_reached_by_keyboard_and_get_the_focus(page_at) -> None:
    page = await page_at("/campaigns")
    await expect(page.get_by_role("heading", level=1, name="Campaigns")).to_be_visible()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.get_by_role("link", name="Tests").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Tests")).to_be_visible()
    await expect(page.get_by_role("link", name="Tests")).to_have_attribute("aria-current", "page")
    assert await page.evaluate("document.activeElement.id") == "content"
    await expect(page).to_have_title(re.compile("Tests"))


async def test_colours_follow_the_system_until_one_is_chosen(page_at) -> None:
    page = await page_at("/campaigns", dark=True)
    theme = page.locator("html")
    await expect(theme).to_have_attribute("data-theme", "dark")
    await page.get_by_role("button", name="Colours: As the system").click()
    await expect(theme).to_have_attribute("data-theme", "light")
    await page.reload()
    await expect(theme).to_have_attribute("data-theme", "light")


async def test_a_lost_connection_is_said_and_comes_back_without_a_reload(
    page_at, start_demo, built, tmp_path, free_port
):
    port, folder = free_port(), tmp_path / "demo"
    with start_demo(folder, port=port) as first:
        page = await page_at("/campaigns", url=first.url, key=first.key, strict=False)
        await expect(page.locator(".connection")).to_have_text("Live")
        await page.evaluate("window.notReloaded = true")
    await expect(page.locator(".connection")).to_contain_text("Connection lost")
    await page.get_by_role("link", name="Tests").click()  # whose code has not been loaded yet
    with start_demo(folder, port=port):
        await expect(page.locator(".connection")).to_have_text("Live")
        await expect(page.get_by_role("heading", level=1, name="Tests")).to_be_visible()
        assert await page.evaluate("window.notReloaded")


async def test_a_server_that_hangs_is_a_lost_connection_too(page_at, start_demo, built, tmp_path):
    with start_demo(tmp_path / "demo") as demo, going_on_at_the_end(demo.process.pid) as family:
        page = await page_at("/campaigns", url=demo.url, key=demo.key, strict=False)
        await expect(page.locator(".connection")).to_have_text("Live")
        await expect(page.get_by_role("term")).to_have_count(7)
        for process in family():
            process.suspend()
        await expect(page.locator(".connection")).to_contain_text("Connection lost", timeout=30_000)
        await expect(page.get_by_role("term")).to_have_count(7)  # what was there stays
        for process in family():
            process.resume()
        await expect(page.locator(".connection")).to_have_text("Live")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["wide", "phone"])
async def test_nothing_serious_for_axe_where_the_key_is_asked_for(page_at, axe, picture, phone, dark) -> None:
    page = await page_at("/", key=None, phone=phone, dark=dark)
    await expect(page.get_by_label("Key")).to_be_focused()
    await picture(page, f"key-{'phone' if phone else 'wide'}-{'dark' if dark else 'light'}")
    assert await axe(page) == []
