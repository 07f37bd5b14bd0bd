"""The manager's day in a real browser: a price, an invitation, hours, a message; on a desktop in French, on a phone in
Arabic."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.ui.conftest import Demo, Watched, at_rest, offered, scrolls_sideways

Opened = Callable[..., Page]
PAGES = ("", "services/", "services/demo-consultation", "services/new", "hours/", "hours/demo-elamrani", "staff/", "staff/invite",
         "queues/", "queues/demo-queue", "messages/", "messages/reminder", "devices/", "devices/new")  # fmt: skip


def price_of(demo: Demo, service: str) -> Any:
    found = demo.client().get(f"HealthcareService/{service}").json
    parts = found["extension"][0]["extension"]
    return next(part["valueMoney"]["value"] for part in parts if part["url"] == "price")


@pytest.mark.parametrize(("lang", "phone", "price"), [("fr", False, 275), ("ar", True, 280)])
def test_the_price_of_a_service_is_changed(demo: Demo, browser_page: Opened, watched: Watched, lang: str, phone: bool, price: int) -> None:
    watched.let.append("status of 422")
    page = browser_page(lang, phone=phone)
    demo.sign_in(page, "manager")
    page.goto(f"{demo.base}/manage/services/")
    page.locator("a[href$='/services/demo-consultation']").click()
    expect(page.locator(".free-times li").first).to_be_visible()
    page.locator("#price").fill("x")
    page.locator("form[data-draft] button[type=submit]").click()
    expect(page.locator("#price-error")).to_be_visible()
    page.locator("#price").fill(str(price))
    page.locator("form[data-draft] button[type=submit]").click()
    expect(page.locator(".note-success")).to_be_visible()
    assert price_of(demo, "demo-consultation") == price
    # What was kept as a draft is gone: the page shows what is stored.
    page.goto(f"{demo.base}/manage/services/demo-consultation")
    expect(page.locator("#price")).to_have_value(str(price))


def test_what_is_typed_before_the_scripts_are_there_stays(demo: Demo, browser_page: Opened) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "manager")
    page.goto(f"{demo.base}/manage/services/new")
    page.locator("#name").fill("Ancien")
    page.locator("#price").fill("100")
    held: list[Route] = []
    page.route("**/app.js*", lambda route: held.append(route))
    page.reload(wait_until="commit")
    page.locator("#name").fill("Nouveau")
    expect(page.locator("#name")).to_have_value("Nouveau")
    held[0].continue_()
    page.wait_for_load_state("load")
    expect(page.locator("#price")).to_have_value("100")
    expect(page.locator("#name")).to_have_value("Nouveau")


@pytest.mark.parametrize(("lang", "phone"), [("fr", False), ("ar", True)])
def test_somebody_is_invited(demo: Demo, browser_page: Opened, lang: str, phone: bool) -> None:
    page = browser_page(lang, phone=phone)
    demo.sign_in(page, "owner")
    page.goto(f"{demo.base}/manage/staff/")
    page.keyboard.press("n")
    email = f"invited-{lang}@clinic.example"
    page.locator("#email").fill(email)
    page.locator("#role").select_option("nurse")
    page.locator("#given").fill("Salma")
    page.locator("#family").fill("Idrissi")
    page.locator("form[data-draft] button[type=submit]").click()
    expect(page.locator(".note-success")).to_be_visible()
    expect(page.locator("article", has_text=email)).to_be_visible()


def test_hours_are_added_by_hand_and_the_keyboard_stays_where_it_is(demo: Demo, browser_page: Opened) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "manager")
    page.goto(f"{demo.base}/manage/hours/demo-fall")
    monday = page.locator("[data-day=mon]")
    before = monday.locator("[data-row]").count()
    monday.locator("[data-add]").click()
    expect(monday.locator("[data-row]")).to_have_count(before + 1)
    assert page.evaluate("document.activeElement.name") == "mon-start"
    monday.locator("[data-row] input").nth(2 * before).fill("18:00")
    monday.locator("[data-row] input").nth(2 * before + 1).fill("19:30")
    monday.locator("[data-copy]").click()
    expect(page.locator("[data-day=sun] [data-row]")).to_have_count(before + 1)
    page.locator("[data-day=sun] [data-remove]").first.click()
    expect(page.locator("[data-day=sun] [data-row]")).to_have_count(before)
    page.locator("form[data-hours] button[type=submit]").click()
    expect(page.locator(".note-success")).to_be_visible()
    stored = str(demo.client().get("Schedule/demo-fall").json)
    assert "18:00:00" in stored and "19:30:00" in stored


def test_a_text_is_previewed_while_it_is_typed(demo: Demo, browser_page: Opened) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "manager")
    page.goto(f"{demo.base}/manage/messages/cancellation?language=fr&channel=sms")
    page.locator("#body").fill("Visite du {{ start|date }} annulée")
    expect(page.locator("#preview .bubble")).to_contain_text("12 ao")
    page.locator("#body").fill("{{ strat }}")
    expect(page.locator("#preview .note-danger")).to_contain_text("Ligne 1")


def test_a_queue_is_closed_and_the_message_takes_it_back(demo: Demo, browser_page: Opened) -> None:
    page = browser_page("fr")
    demo.sign_in(page, "manager")
    page.goto(f"{demo.base}/manage/queues/")
    card = page.locator("article", has_text="Prélèvements")
    card.locator("form[action$='/close'] button").click()
    undo = offered(page)
    expect(card.locator(".tag")).to_have_text("Fermé")
    undo.click()
    expect(card.locator(".tag")).to_have_text("Ouvert")


@pytest.mark.parametrize(("lang", "phone", "dark"), [("fr", False, False), ("ar", True, True), ("es", True, False), ("en", False, True)])
def test_every_page_is_usable_by_all(demo: Demo, browser_page: Opened, axe: Callable[[Page], list[str]], lang: str, phone: bool, dark: bool) -> None:
    page = browser_page(lang, phone=phone, dark=dark)
    demo.sign_in(page, "manager")
    found = []
    for path in PAGES:
        page.goto(f"{demo.base}/manage/{path}")
        at_rest(page)
        found += [f"{path}: {each}" for each in axe(page)]
        if scrolls_sideways(page):
            found.append(f"{path}: scrolls sideways")
        if page.locator("h1").count() != 1:
            found.append(f"{path}: has not one h1")
    assert found == []


def test_nothing_breaks_at_320_pixels(demo: Demo, browser_page: Opened) -> None:
    page = browser_page("fr")
    page.set_viewport_size({"width": 320, "height": 640})
    demo.sign_in(page, "manager")
    for path in PAGES:
        page.goto(f"{demo.base}/manage/{path}")
        assert not scrolls_sideways(page), path


@pytest.mark.parametrize("lang", ["fr", "es", "ar"])
def test_no_english_is_left(demo: Demo, browser_page: Opened, lang: str) -> None:
    page = browser_page(lang)
    demo.sign_in(page, "manager")
    for path in PAGES:
        page.goto(f"{demo.base}/manage/{path}")
        at_rest(page)
        words = page.evaluate("""() => { const copy = document.body.cloneNode(true);
            copy.querySelectorAll("[lang=en], code, bdi, script, noscript, option").forEach(each => each.remove()); return copy.innerText; }""")
        assert not re.search(r"\b(the|with|your|and|Save|minutes?|hours)\b", words if lang == "ar" else words.replace("minutes", "")), (path, words)
