"""The pages in a real browser, as people use them: with a mouse, with a keyboard, on a phone, without scripts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.service.tiny_server import on_a_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; `apt-get install chromium` brings it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(trained_folder, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("browsed") / "shop"
    shutil.copytree(trained_folder, folder)
    with on_a_port(folder) as served:
        yield served


@pytest.fixture
def visit(browser, address):
    """Opens a visitor's page; whatever the page complains of fails the test."""
    contexts, complaints = [], []

    def opened(path: str = "/", **how) -> Page:
        context = browser.new_context(
            **{"base_url": address, "viewport": DESKTOP, "locale": "en-US", "reduced_motion": "reduce", **how}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)  # a busy machine is no failure of the page
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def album(tmp_path_factory) -> Path:
    """Where screenshots go: AISLE_SCREENSHOTS keeps them."""
    kept = os.environ.get("AISLE_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_typing_suggests_and_the_keyboard_chooses(visit):
    page = visit()
    box = page.get_by_role("combobox")
    box.press_sequentially("kett", delay=20)
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")

    box.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", "suggestion-0")
    box.press("ArrowUp")
    expect(box).to_have_value("kett")
    box.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()

    box.press("ArrowDown")
    expect(options.first).to_be_visible()
    box.press("ArrowDown")
    chosen = box.input_value()
    box.press("Enter")
    expect(page).to_have_url(re.compile(r"/search\?q="))
    expect(page.get_by_role("combobox")).to_have_value(chosen)


def test_a_suggestion_is_clicked(visit):
    page = visit()
    page.get_by_role("combobox").press_sequentially("umb", delay=20)
    page.get_by_role("option").first.click()

    expect(page.locator(".card").first).to_contain_text("umbrella")


def test_from_a_search_by_a_facet_to_the_basket_and_out_again(visit):
    page = visit("/search?q=tea")
    page.locator(".facets").get_by_role("link", name=re.compile("Hillside")).click()
    expect(page.locator(".chips")).to_contain_text("Hillside")
    page.locator(".card > a", has_text="Longjing").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Longjing")
    page.get_by_label("Quantity").select_option("2")
    page.get_by_role("button", name="Add to basket").click()
    expect(page.get_by_role("heading", name="Your basket", exact=True)).to_be_visible()
    expect(page.locator(".sum")).to_contain_text("$37.98")
    page.get_by_label(re.compile("^Quantity")).fill("1")
    page.get_by_role("button", name=re.compile("^Update")).click()
    expect(page.locator(".sum")).to_contain_text("$18.99")
    page.get_by_role("button", name=re.compile("^Add .*to the basket")).first.click()
    expect(page.locator(".count")).to_have_text("2")
    page.get_by_role("button", name=re.compile("^Remove")).last.click()
    expect(page.locator(".count")).to_have_text("1")
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()


def test_another_user_sees_another_shop_and_the_menu_closes(visit):
    page = visit()
    menu = page.locator("details.people")
    menu.locator("summary").click()
    expect(menu.get_by_label("Another user id")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu.get_by_label("Another user id")).to_be_hidden()

    menu.locator("summary").click()
    menu.get_by_label("Another user id").fill("eve")
    menu.get_by_role("button", name="Switch").click()
    expect(menu.locator("summary")).to_contain_text("eve")
    expect(page.get_by_role("heading", name="Recently viewed")).to_be_visible()


def test_the_language_is_switched_where_one_stands(visit):
    page = visit("/item/green-tea")
    page.get_by_role("button", name="中文").click()

    expect(page).to_have_url(re.compile("/item/green-tea$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("龙井")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_the_why_panel_opens(visit):
    page = visit("/search?q=kettle")
    panel = page.locator("details.why")
    expect(panel.locator(".panel")).to_be_hidden()
    panel.locator("summary").click()

    expect(panel).to_contain_text("Found by")
    expect(panel).to_contain_text(re.compile(r"Made in \d+\.\d ms"))


def test_a_choice_is_changed_and_taken_back(visit):
    page = visit("/search?q=tea")
    brands = page.locator("section.many", has=page.get_by_role("heading", name="Brand"))
    brands.get_by_role("link", name=re.compile("Hillside")).click()
    chosen = brands.locator("a.chosen")
    expect(chosen).to_contain_text("Hillside")
    chosen.click()
    expect(page.locator(".chips")).to_have_count(0)
    categories = page.locator("section.one")
    categories.get_by_role("link", name=re.compile("Kitchen")).first.click()
    expect(categories.locator("a.chosen")).to_contain_text("Kitchen")
    categories.locator("a.chosen").click()
    expect(page.locator(".chips")).to_have_count(0)


@pytest.mark.parametrize(
    "path", ["/", "/search?q=tea&brand=Hillside", "/item/kettle", "/basket", "/categories", "/status"]
)
def test_on_a_phone_whatever_is_pressed_is_large_enough(visit, path):
    page = visit("/item/kettle", viewport=PHONE, has_touch=True, is_mobile=True)
    page.locator("form.buy button").click()
    page.goto(path)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    page.evaluate("document.querySelectorAll('#narrow').forEach(e => { e.checked = true })")

    small = page.evaluate(
        """() => [...document.querySelectorAll('a, button, summary, select, input:not([type=hidden], .unseen)')]
          .filter(e => e.offsetParent && !e.closest('.card') && e.getBoundingClientRect().height < 43.5)
          .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert small == []


def test_the_keyboard_alone_reaches_the_content_and_an_item(visit):
    page = visit("/search?q=kettle")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator(".card > a").first.focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name="Add to basket")).to_be_visible()


def test_without_scripts_everything_works(visit):
    page = visit(java_script_enabled=False)
    page.get_by_label("Search the shop").fill("boots")
    page.get_by_label("Search the shop").press("Enter")
    page.locator(".card > a").first.click()
    page.get_by_role("button", name="Add to basket").click()
    expect(page.locator(".count")).to_have_text("1")
    page.locator("details.people summary").click()
    page.get_by_role("button", name="Start as a new visitor").click()
    expect(page.locator(".count")).to_have_count(0)
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="欢迎光临")).to_be_visible()


@pytest.mark.parametrize(
    ("size", "screen"), [("desktop", DESKTOP), ("phone", PHONE), ("small", {"width": 360, "height": 740})]
)
@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_every_page_fits_every_screen(visit, album, size, screen, language):
    page = visit("/", viewport=screen, locale=language)
    page.locator("details.people summary").click()
    page.locator("#user").fill("somebody-with-a-long-name")
    page.locator("#user").press("Enter")
    page.goto("/item/kettle")
    page.locator("form.buy button").click()
    for name, path in (
        ("home", "/"),
        ("search", "/search?q=tea"),
        ("item", "/item/kettle"),
        ("basket", "/basket"),
        ("nothing", "/search?q=tea&min=900"),
        ("status", "/status"),
    ):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= screen["width"], f"{path} is too wide"
        broken = page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)")
        assert broken == []
        page.screenshot(path=album / f"{name}-{language[:2]}-{size}.png", full_page=True)
