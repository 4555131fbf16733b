"""The recommendations' page: models trained while one looks, what they advise, and its data to take away."""

import asyncio
import csv
import io
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, expect

PAGE = "/recommendations"
PERSON = "/recommendations?user=u-00042&campaign=cafe-ase-thank-you"
TRAINING_MILLISECONDS = 240_000


async def trained(page: Page) -> None:
    """Train, unless an earlier test has."""
    models = page.get_by_role("region", name="Models", exact=True)
    none = models.get_by_text("No model is trained yet")
    await expect(none.or_(models.get_by_role("region", name="Versions of the models"))).to_be_visible()
    if await none.count() == 0:
        return
    await models.get_by_role("button", name="Train now").click()
    training = page.get_by_role("region", name="Training", exact=True)
    await expect(training.get_by_role("progressbar")).to_be_visible()
    await expect(training).to_contain_text("Succeeded", timeout=TRAINING_MILLISECONDS)


async def test_models_are_trained_while_one_looks_and_then_served(page_at) -> None:
    page = await page_at(PAGE)
    await trained(page)
    versions = page.get_by_role("region", name="Versions of the models")
    await expect(versions.get_by_text("Active").first).to_be_visible()


async def test_a_person_s_hours_merchants_and_offers(page_at, tmp_path: Path) -> None:
    page = await page_at(PAGE)
    await trained(page)
    await page.get_by_label("User", exact=True).fill("u-00042")
    hours = page.get_by_role("region", name="Chance to be opened, by hour")
    await expect(hours).to_contain_text("Send at")
    await expect(page.get_by_role("region", name="Merchants likely to be visited")).to_be_visible()
    assert "user=u-00042" in page.url
    await hours.scroll_into_view_if_needed()
    await expect(hours.locator("svg[data-chart]")).to_be_visible()
    async with page.expect_download() as picture:
        await hours.get_by_role("button", name="PNG").click()
    await (await picture.value).save_as(tmp_path / "hours.png")
    assert (tmp_path / "hours.png").read_bytes().startswith(b"\x89PNG")
    async with page.expect_download() as data:
        await hours.get_by_role("button", name="CSV").click()
    await (await data.value).save_as(tmp_path / "hours.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "hours.csv").read_text("utf-8-sig"))))
    assert [row[0] for row in rows] == ["Hour", *map(str, range(24))]


async def test_a_campaign_s_amount_or_why_there_is_none(page_at) -> None:
    page = await page_at(PAGE)
    await trained(page)
    choice = page.get_by_label("Campaign", exact=True)
    await choice.select_option(index=1)
    card = page.get_by_role("region", name="A campaign's amount and segments")
    await expect(card.get_by_role("button", name="Draw amounts by lot…")).to_be_visible()
    await card.get_by_role("button", name="Draw amounts by lot…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Amounts").fill("2 3")
    await dialog.get_by_role("button", name="Make the draft").click()
    await expect(dialog.get_by_role("alert")).to_be_visible()
    await dialog.get_by_role("button", name="Leave").click()
    await expect(dialog).to_be_hidden()


async def test_filters_live_in_the_address(page_at) -> None:
    page = await page_at(f"{PAGE}?kind=BUDGET")
    await expect(page.get_by_label("Kind")).to_have_value("BUDGET")
    await page.get_by_label("Kind").select_option("START_TEST")
    await page.wait_for_url("**kind=START_TEST**")


async def test_a_person_nobody_knows_is_said(page_at) -> None:
    page = await page_at(f"{PAGE}?user=nobody-at-all")
    await expect(
        page.get_by_text("Nobody has this id").or_(page.get_by_text("There is no such thing here")).first
    ).to_be_visible()


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
async def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    page_at, axe, picture, phone: bool, dark: bool
) -> None:
    page = await page_at(PERSON, phone=phone, dark=dark)
    await trained(page)
    async with asyncio.timeout(30):
        while await page.locator(".skeleton").count():
            with suppress(PlaywrightError):  # drawn meanwhile
                await page.locator(".skeleton").first.scroll_into_view_if_needed(timeout=500)
            await asyncio.sleep(0.1)
    assert await axe(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await picture(page, f"recommendations-{'phone' if phone else 'wide'}-{'dark' if dark else 'light'}")
