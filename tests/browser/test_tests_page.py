"""The tests' page: a test made, fed, seen to move without a reload, and ended; its pictures and data to take away."""

import asyncio
import csv
import io
import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, expect

RUNNING = "/tests/instant-cash-back"
BANDIT = "/tests/home-picture"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def send(demo):
    """Send events to the server, as a team's own service does."""

    async def send(events: list[dict]) -> None:
        lines = "\n".join(map(json.dumps, events))
        async with httpx.AsyncClient(base_url=demo.url, headers=demo.headers, timeout=60) as client:
            answer = (await client.post("/v1/events", content=lines)).json()
        assert answer["rejected"] == []
        assert answer["accepted"] == len(events)

    return send


def outcomes(key: str, variant: str, *, units: int, buyers: int) -> list[dict]:
    now = datetime.now(UTC).isoformat()
    made: list[dict] = []
    for number in range(units):
        user = {"userId": f"{key}-{variant}-{number}", "occurredAt": now}
        made.append(
            {"id": f"x-{key}-{variant}-{number}", "type": "EXPOSED", "testId": key, "variantKey": variant, **user}
        )
        if number < buyers:
            made.append({"id": f"c-{key}-{variant}-{number}", "type": "CONVERTED", **user})
    return made


async def test_a_test_is_made_fed_seen_to_win_and_ended(page_at, send) -> None:
    page = await page_at("/tests")
    await page.get_by_role("link", name="New test").click()
    name = f"Wärmer {secrets.token_hex(3)}"
    key = name.lower().replace("ä", "a").replace(" ", "-")
    await page.get_by_label("Name", exact=True).first.fill(name)
    await expect(page.get_by_label("Key", exact=True).first).to_have_value(key)
    await page.get_by_label("Units a variant").fill("1000")
    await page.get_by_role("button", name="Make the draft").click()
    await expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    verdict = page.get_by_role("region", name="Verdict")
    await expect(verdict).to_contain_text("Keep running")

    loaded = await page.evaluate("performance.timeOrigin")
    await send(outcomes(key, "control", units=1000, buyers=100))
    await send(outcomes(key, "treatment", units=1000, buyers=200))
    await expect(verdict).to_contain_text("Treatment wins")
    await expect(verdict).to_contain_text("2,000")
    assert await page.evaluate("performance.timeOrigin") == loaded, "the page was loaded anew"

    await page.get_by_role("button", name="Save analysis").click()
    await expect(page.get_by_text("The analysis is saved.")).to_be_visible()
    await page.get_by_role("button", name="End…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Winner")).to_have_value("treatment")
    await dialog.get_by_role("button", name="End the test").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_text("Declared winner: Treatment")).to_be_visible()
    await expect(page.get_by_role("button", name="Start")).to_have_count(0)
    await expect(page.get_by_role("region", name="Saved analyses", exact=True).first).to_contain_text("Winner")


async def test_what_is_wrong_is_said_at_its_field(page_at) -> None:
    page = await page_at("/tests/-/new")
    await page.get_by_label("Name", exact=True).first.fill("Broken")
    await page.get_by_label("Share, percent").first.fill("70")
    await page.get_by_label("Payload", exact=True).first.select_option("json")
    await page.get_by_label("Payload, JSON").first.fill("{oops}")
    await page.get_by_role("button", name="Make the draft").click()
    await expect(page.get_by_label("Payload, JSON").first).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Payload, JSON").first.fill("")
    await page.get_by_label("Coverage").fill("150")
    await page.get_by_role("button", name="Make the draft").click()
    await expect(page.get_by_label("Coverage")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("alert").first).to_be_visible()
    assert page.url.endswith("/tests/-/new")


async def test_a_campaign_is_found_conditions_are_rows_and_payloads_have_a_type(page_at, demo, axe, picture) -> None:
    page = await page_at("/tests/-/new")
    name = f"Rows {secrets.token_hex(3)}"
    await page.get_by_label("Name", exact=True).first.fill(name)
    campaign = page.get_by_role("combobox", name="Campaign", exact=True)
    await campaign.press_sequentially("come")
    await expect(page.get_by_role("option").first).to_be_visible()
    await picture(page, "new-test-campaigns")
    assert await axe(page) == []
    await campaign.press("ArrowDown")
    await campaign.press("Enter")
    chosen = await campaign.input_value()
    assert len(chosen) > len("come")
    for _ in range(2):
        await page.get_by_role("button", name="Add a condition").click()
    first, second = (page.get_by_role("group", name=f"Condition {number}", exact=True) for number in (1, 2))
    await first.get_by_label("Attribute").fill("segment")
    await first.get_by_label("Comparison").select_option("is one of")
    await first.get_by_label("Values").fill("loyal, new")
    await second.get_by_label("Attribute").fill("age")
    await second.get_by_label("Comparison").select_option("is at least")
    await second.get_by_label("Value", exact=True).fill("18")
    await page.get_by_label("Payload", exact=True).first.select_option("boolean")
    await page.get_by_label("Payload", exact=True).last.select_option("object")
    await page.get_by_label("Field", exact=True).fill("title")
    await page.get_by_label("Value", exact=True).first.fill("5 back")
    await picture(page, "new-test")
    assert await axe(page) == []
    await page.get_by_role("button", name="Write it as JSON").click()
    await expect(page.get_by_label("Targeting, JSON")).to_have_value(
        '{"segment":{"$in":["loyal","new"]},"age":{"$gte":18}}'
    )
    await page.get_by_role("button", name="Write it in rows").click()
    await expect(second.get_by_label("Attribute")).to_have_value("age")
    await page.get_by_label("Units a variant").fill("1000")
    await page.get_by_role("button", name="Make the draft").click()
    await expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    query = f'{{ test(id: "{name.lower().replace(" ", "-")}") {{ campaign {{ key }} variants {{ payload }} }} }}'
    async with httpx.AsyncClient(base_url=demo.url, headers=demo.headers, timeout=60) as client:
        made = (await client.post("/graphql", json={"query": query})).json()["data"]["test"]
    assert made["campaign"]["key"] == chosen
    assert [variant["payload"] for variant in made["variants"]] == [True, {"title": "5 back"}]


async def test_the_calculator_explains_itself_and_hands_its_numbers_on(page_at) -> None:
    page = await page_at("/tests/-/sample-size?baseline=10&effect=20")
    units = page.locator(".stat", has_text="Units a variant").locator(".stat-value")
    await expect(units).to_have_text("3,841")  # R: power.prop.test(p1 = .1, p2 = .12, power = .8): n = 3840.847
    await page.get_by_label("Smallest lift that matters").fill("40")
    await expect(units).not_to_have_text("3,841")
    assert "effect=40" in page.url
    await page.get_by_role("link", name="Make this test").click()
    await expect(page.get_by_label("Baseline, percent")).to_have_value("10")
    await expect(page.get_by_label("Smallest lift that matters")).to_have_value("40")


async def test_the_list_is_filtered_by_its_address(page_at) -> None:
    page = await page_at("/tests?status=ENDED")
    names = page.get_by_role("region", name="Tests", exact=True).get_by_role("rowheader")
    await expect(names.filter(has_text="Cash back at once")).to_have_count(1)
    await page.get_by_label("Search").fill("nothing like it")
    await expect(page.get_by_text("No test matches")).to_be_visible()
    await page.get_by_label("Search").fill("cash")
    await expect(names).to_have_count(1)


async def test_a_bandit_shows_its_shares_and_three_estimates(page_at) -> None:
    page = await page_at(BANDIT)
    figure = page.get_by_role("region", name="Allocation over time", exact=True)
    await expect(figure).to_contain_text("Nobody gets less than")
    for name in ("Naive means", "Inverse propensity (IPW)", "Adaptively weighted (AW-AIPW)"):
        await expect(page.get_by_role("heading", name=name)).to_be_visible()


@pytest.mark.parametrize(
    ("title", "name"),
    [("Why looking early is safe", "instant-cash-back-course"), ("Posterior densities", "instant-cash-back-posterior")],
)
async def test_a_chart_is_taken_away_as_png_and_csv(page_at, tmp_path: Path, title: str, name: str) -> None:
    page = await page_at(RUNNING)
    figure = page.get_by_role("region", name=title, exact=True)
    await figure.scroll_into_view_if_needed()
    await expect(figure.locator("svg[data-chart]")).to_be_visible()
    async with page.expect_download() as picture:
        await figure.get_by_role("button", name="PNG").click()
    assert (await picture.value).suggested_filename == f"{name}.png"
    await (await picture.value).save_as(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(PNG_SIGNATURE)
    async with page.expect_download() as data:
        await figure.get_by_role("button", name="CSV").click()
    await (await data.value).save_as(tmp_path / "chart.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "chart.csv").read_text("utf-8-sig"))))
    assert len(rows) > 5
    assert all(len(row) == len(rows[0]) for row in rows)


async def drawn(page: Page) -> None:
    """Bring every chart into sight once, also those that come later."""
    await expect(page.locator(".card").first).to_be_visible()
    async with asyncio.timeout(30):
        while await page.locator(".skeleton").count():
            with suppress(PlaywrightError):  # drawn meanwhile
                await page.locator(".skeleton").first.scroll_into_view_if_needed(timeout=500)
            await asyncio.sleep(0.1)
    await page.evaluate("scrollTo(0, 0)")


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
@pytest.mark.parametrize("path", ["/tests", RUNNING, BANDIT, "/tests/-/new", "/tests/-/sample-size"])
async def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    page_at, axe, picture, path: str, phone: bool, dark: bool
) -> None:
    page = await page_at(path, phone=phone, dark=dark)
    await drawn(page)
    assert await axe(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await picture(
        page, f"{path.strip('/').replace('/', '-')}-{'phone' if phone else 'wide'}-{'dark' if dark else 'light'}"
    )


async def test_a_key_that_only_assigns_is_told_so(page_at, demo) -> None:
    page = await page_at(RUNNING, key=demo.new_key("client"), strict=False)
    await expect(page.get_by_role("alert").first).to_contain_text("This key may not see this")
