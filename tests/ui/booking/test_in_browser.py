"""A new patient books in a real browser: in French at a desk, in Arabic on a phone, by keyboard, without JavaScript."""

import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, expect

from tests.features.scheduling.visitor import code_for
from tests.ui.booking.test_booking import tenant_of
from tests.ui.conftest import Demo, scrolls_sideways

Open = Callable[..., Page]
Axe = Callable[[Page], list[str]]
_MOST_BYTES = 100 * 1024


def look(page: Page, axe: Axe) -> None:
    assert axe(page) == []
    assert not scrolls_sideways(page)


@pytest.mark.parametrize(("lang", "phone", "dark"), [("fr", False, False), ("ar", True, True)])
def test_three_screens(demo: Demo, browser_page: Open, axe: Axe, lang: str, phone: bool, dark: bool) -> None:
    page, email = browser_page(lang, phone=phone, dark=dark), f"b{secrets.token_hex(6)}@mail.example"
    page.goto(f"{demo.base}/booking/")
    look(page, axe)
    page.goto(f"{demo.base}/booking/times?service=demo-consultation")
    assert page.get_attribute("html", "dir") == ("rtl" if lang == "ar" else "ltr")
    look(page, axe)
    page.locator(".days .time").nth(1).click()
    page.wait_for_url("**/who/**")
    look(page, axe)
    page.fill("#given", "سارة" if lang == "ar" else "Sara")
    page.fill("#family", "El Amrani")
    page.fill("#birthDate", "1990-02-03")
    page.fill("#contact", email)
    page.check("#consent")
    page.locator("form[data-keep] button[type=submit]").click()
    page.wait_for_url("**/code/**")
    look(page, axe)
    page.fill("#code", code_for(tenant_of(demo), email))
    page.keyboard.press("Enter")
    page.wait_for_url("**/done/**")
    look(page, axe)
    assert page.locator(".done-mark").is_visible()


def test_first_load_is_light(demo: Demo, browser_page: Open) -> None:
    page, finished = browser_page(phone=True), list[Request]()
    page.on("requestfinished", lambda request: finished.append(request))
    page.goto(f"{demo.base}/booking/", wait_until="networkidle")
    assert 0 < sum(request.sizes()["responseBodySize"] for request in finished) <= _MOST_BYTES


def test_by_keyboard_alone(demo: Demo, browser_page: Open) -> None:
    page = browser_page("ar")
    page.goto(f"{demo.base}/booking/times?service=demo-consultation&doctor=demo-ndiaye")
    first = page.locator(".days .time").first
    for _ in range(60):
        page.keyboard.press("Tab")
        if first.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/who/**")
    assert page.locator(".countdown-left").is_visible()


def test_a_minute_without_network_loses_nothing(demo: Demo, browser_page: Open) -> None:
    page, email = browser_page(phone=True), f"b{secrets.token_hex(6)}@mail.example"
    page.goto(f"{demo.base}/booking/times?service=demo-consultation")
    page.locator(".days .time").nth(3).click()
    page.wait_for_url("**/who/**")
    for name, text in (("given", "Ali"), ("family", "Ndiaye"), ("birthDate", "1980-01-01"), ("contact", email)):
        page.fill(f"#{name}", text)
    page.check("#consent")
    page.context.set_offline(True)
    page.locator("form[data-keep] button[type=submit]").click()
    expect(page.locator("#offline")).to_be_visible()
    assert page.input_value("#given") == "Ali" and "/who/" in page.url
    page.context.set_offline(False)
    page.wait_for_url("**/code/**")
    # Going back shows it as it was left, also when the page is loaded anew, and for another time.
    page.go_back()
    page.reload()
    assert page.input_value("#family") == "Ndiaye"
    page.locator(".held-for a").click()
    page.locator(".days .time").nth(5).click()
    page.wait_for_url("**/who/**")
    assert page.input_value("#family") == "Ndiaye" and page.is_checked("#consent")
    page.locator("form[data-keep] button[type=submit]").click()
    page.fill("#code", code_for(tenant_of(demo), email))
    page.keyboard.press("Enter")
    page.wait_for_url("**/done/**")
    assert page.evaluate("sessionStorage.getItem('booking-who')") is None


def test_without_javascript(demo: Demo, browser_page: Open) -> None:
    page, email = browser_page(java_script_enabled=False), f"b{secrets.token_hex(6)}@mail.example"
    page.goto(f"{demo.base}/booking/")
    page.locator(".card-doctor .time").first.click()
    for name, text in (("given", "Ali"), ("family", "Ndiaye"), ("birthDate", "1980-01-01"), ("contact", email)):
        page.fill(f"#{name}", text)
    page.check("#consent")
    page.locator("form[data-keep] button[type=submit]").click()
    page.fill("#code", code_for(tenant_of(demo), email))
    page.locator(".code-field ~ .actions button").click()
    expect(page.locator(".done-mark")).to_be_visible()


@pytest.mark.parametrize("lang", ["fr", "ar"])
def test_narrow(demo: Demo, browser_page: Open, lang: str) -> None:
    page = browser_page(lang, phone=True)
    page.set_viewport_size({"width": 320, "height": 640})
    for path in ("", "doctor/demo-elamrani", "times?service=demo-consultation", "waitlist?service=demo-consultation", "terms"):
        page.goto(f"{demo.base}/booking/{path}")
        assert not scrolls_sideways(page), path
