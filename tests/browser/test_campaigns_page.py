"""The campaigns' page: filters in the address, live figures, exports, phone, colours, and what axe finds."""

import asyncio
import csv
import io
import json
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, expect

CAMPAIGN = "/campaigns/corner-grocer-weekend"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


async def scrolled_through(page: Page) -> None:
    """Bring everything into sight once, so that every chart is drawn."""
    await expect(page.locator(".figure").first).to_be_visible()
    deadline = time.monotonic() + 20
    while await page.locator(".skeleton").count() and time.monotonic() < deadline:
        with suppress(PlaywrightError):  # drawn meanwhile
            await page.locator(".skeleton").first.scroll_into_view_if_needed(timeout=500)
        await asyncio.sleep(0.1)
    await expect(page.locator(".skeleton")).to_have_count(0)
    await page.evaluate("scrollTo(0, 0)")


def said(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


async def test_the_portfolio_shows_seven_metrics_and_their_changes(page_at) -> None:
    page = await page_at("/campaigns")
    await expect(page.get_by_role("term")).to_have_count(7)
    await expect(page.locator(".change")).to_have_count(7)
    await expect(page.locator(".change", has_text="%").first).to_be_visible()
    await expect(page.get_by_text("40 campaigns")).to_be_visible()


async def test_filters_live_in_the_address(page_at) -> None:
    page = await page_at("/campaigns")
    await page.get_by_label("Window").select_option("7 days")
    await page.get_by_label("Hour", exact=True).check()
    await page.get_by_label("Metric").select_option("Revenue")
    await page.get_by_label("Ranked by").select_option("Conversions")
    await page.get_by_label("Search").fill("weekend")
    await page.get_by_label("Active", exact=True).check()
    await page.get_by_label("Ordered by").select_option("Name")
    await page.wait_for_url("**search=weekend**")
    chosen = {
        "window": ["7d"],
        "interval": ["HOUR"],
        "metric": ["REVENUE"],
        "by": ["CONVERTED"],
        "search": ["weekend"],
        "status": ["ACTIVE"],
        "order": ["NAME"],
    }
    assert said(page.url) == chosen
    names = page.get_by_role("region", name="Campaigns", exact=True).get_by_role("rowheader")
    await expect(names.first).to_contain_text("Weekend")
    before = await names.all_text_contents()
    await page.reload()
    await expect(page.get_by_role("heading", name="Revenue by hour")).to_be_visible()
    await expect(names).to_have_text(before)
    await expect(page.get_by_label("Search")).to_have_value("weekend")


async def test_a_campaign_is_reached_from_the_list_and_back(page_at) -> None:
    page = await page_at("/campaigns?search=corner-grocer-weekend")
    await page.get_by_role("link", name="Weekend at Corner Grocer").click()
    await expect(page.get_by_role("heading", level=1, name="Weekend at Corner Grocer")).to_be_visible()
    for part in ("Conversion rate by segment", "Return on investment", "Who converted again", "A/B tests"):
        await expect(page.get_by_role("heading", name=part)).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", level=1, name="Campaigns")).to_be_visible()
    assert said(page.url) == {"search": ["corner-grocer-weekend"]}


async def test_a_campaign_that_is_not_there_is_said(page_at) -> None:
    page = await page_at("/campaigns/nowhere")
    await expect(page.get_by_role("alert").first).to_contain_text("There is no such thing here")


async def test_live_figures_move_without_a_reload(page_at, demo) -> None:
    page = await page_at(CAMPAIGN)
    converted = page.get_by_role("region", name="Live").locator(".stat", has_text="Converted").locator(".stat-value")
    await expect(converted).to_be_visible()
    before = int((await converted.inner_text()).replace(",", ""))
    event = {"type": "CONVERTED", "userId": "u-00042", "campaignId": "corner-grocer-weekend", "value": "10.00"}
    event["occurredAt"] = await page.evaluate("new Date().toISOString()")
    lines = "\n".join(json.dumps({**event, "id": f"e2e-{number}"}) for number in range(7))
    async with httpx.AsyncClient(base_url=demo.url, headers=demo.headers) as client:
        answer = await client.post("/v1/events", content=lines)
    assert answer.json()["accepted"] == 7
    await page.wait_for_function(
        "before => [...document.querySelectorAll('section .stat')].some(stat => "
        "stat.querySelector('dt').textContent === 'Converted' && "
        "Number(stat.querySelector('.stat-value').textContent.replaceAll(',', '')) >= before + 7)",
        arg=before,
    )


@pytest.mark.parametrize(
    ("path", "title", "name"),
    [
        ("/campaigns", "Conversion rate by day", "portfolio-trend"),
        ("/campaigns", "Best campaigns", "campaign-ranking"),
        (CAMPAIGN, "Who converted again", "corner-grocer-weekend-cohorts"),
    ],
)
async def test_a_chart_is_taken_away_as_png_and_csv(page_at, tmp_path: Path, path: str, title: str, name: str) -> None:
    page = await page_at(path)
    figure = page.get_by_role("region", name=title, exact=True)
    await figure.scroll_into_view_if_needed()
    await expect(figure.locator("svg[data-chart]")).to_be_visible()
    png = await saved(page, figure.get_by_role("button", name="PNG"), tmp_path / f"{name}.png")
    assert png.startswith(PNG_SIGNATURE)
    width, height = (int.from_bytes(png[place : place + 4]) for place in (16, 20))
    drawn = await figure.locator("svg[data-chart]").bounding_box()
    assert (width, height) > (drawn["width"], drawn["height"])
    assert await colours(page, png) > 20
    content = await saved(page, figure.get_by_role("button", name="CSV"), tmp_path / f"{name}.csv")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert len(rows) > 5
    assert {len(row) for row in rows} == {len(rows[0])}


async def saved(page: Page, button, path: Path) -> bytes:
    async with page.expect_download() as download:
        await button.click()
    file = await download.value
    assert file.suggested_filename == path.name
    await file.save_as(path)
    return await asyncio.to_thread(path.read_bytes)


async def colours(page: Page, png: bytes) -> int:
    """Return how many colours a picture has: a blank one has one."""
    return await page.evaluate(
        """async (bytes) => {
            const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
            const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
            context.drawImage(bitmap, 0, 0);
            return new Set(new Uint32Array(context.getImageData(0, 0, bitmap.width, bitmap.height).data.buffer)).size;
        }""",
        list(png),
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["wide", "phone"])
@pytest.mark.parametrize("path", ["/campaigns", CAMPAIGN], ids=["portfolio", "campaign"])
async def test_nothing_serious_for_axe_and_nothing_too_wide(page_at, axe, picture, path, phone, dark) -> None:
    page = await page_at(path, phone=phone, dark=dark)
    await scrolled_through(page)
    name = "portfolio" if path == "/campaigns" else "campaign"
    await picture(page, f"{name}-{'phone' if phone else 'wide'}-{'dark' if dark else 'light'}")
    assert await axe(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_key_that_may_not_see_figures_is_told_so(page_at, demo) -> None:
    page = await page_at("/campaigns", key=demo.new_key("sender"), strict=False)
    await expect(page.get_by_role("alert").first).to_contain_text("This key may not see this")
    await expect(page.get_by_role("term")).to_have_count(0)
