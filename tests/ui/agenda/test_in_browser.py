"""The calendar in a real browser: what is dragged is moved, in both directions of writing; keys do the same."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.agenda.practice import Practice, at, weekday_ahead
from tests.ui.conftest import Demo, Watched, offered

DAY = weekday_ahead(11)
Browsing = Callable[..., Page]


@pytest.fixture(scope="module")
def practice(demo: Demo) -> Practice:
    return Practice(demo)


def opened(practice: Practice, page: Page, view: str = "day", role: str = "receptionist", day: Any = DAY) -> Page:
    """The calendar with the two doctors of the practice only."""
    practice.demo.sign_in(page, role)
    chosen = f'{{"columns": ["{practice.doctors[0]}", "{practice.doctors[1]}"], "one": "{practice.doctors[0]}"}}'
    page.add_init_script(f"localStorage.setItem('agenda:/t/{practice.demo.slug}/ui', '{chosen}')")
    page.goto(f"{practice.demo.base}/agenda/?date={day}&view={view}")
    expect(page.locator("#ag-calendar")).to_have_attribute("aria-busy", "false")
    return page


def shows(page: Page, view: str) -> None:
    """Choose a view and wait until it is drawn."""
    page.locator(f"[data-view={view}]").click()
    expect(page.locator(f"#ag-calendar[data-shows={view}]")).to_have_attribute("aria-busy", "false")


def box_of(page: Page, name: str) -> Locator:
    return page.locator(".ag-visit-box", has_text=name)


def drop(page: Page, box: Locator, column: int, minutes: int) -> None:
    """Drag a visit by so many minutes into a column (0 is the first in reading order)."""
    box.scroll_into_view_if_needed()
    here = box.bounding_box()
    columns = page.locator(".ec-body .ec-day").evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")
    height = page.evaluate("parseFloat(getComputedStyle(document.querySelector('.ec-main')).getPropertyValue('--ec-slot-height'))")
    assert here is not None
    x, y = here["x"] + here["width"] / 2, here["y"] + 6
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 8, y + 8, steps=3)
    page.mouse.move(columns[column]["x"] + columns[column]["width"] / 2, y + minutes / 30 * height, steps=10)
    page.mouse.up()


@pytest.mark.parametrize("lang", ["fr", "ar"])
def test_a_visit_lands_where_it_is_dropped_and_undo_brings_it_back(
    practice: Practice, browser_page: Browsing, lang: str
) -> None:
    day = DAY + timedelta(days=7 if lang == "ar" else 0)
    visit = practice.book(day, "09:00", patient=practice.patient(f"Glisse{lang}"))
    # The browser of somebody on the way: the clinic's clock counts, not the laptop's.
    page = opened(practice, browser_page(lang, timezone_id="America/New_York"), day=day)
    assert page.evaluate("document.documentElement.dir") == ("rtl" if lang == "ar" else "ltr")
    drop(page, box_of(page, f"GLISSE{lang.upper()}"), 1, 90)
    undo = offered(page)
    moved = practice.read(visit)
    assert moved["start"] == at(day, "10:30")
    assert practice.doctors[1] in str(moved["participant"]) and practice.doctors[0] not in str(moved["participant"])
    undo.click()
    expect(page.locator(".toast-note")).not_to_have_count(0)
    page.wait_for_function("document.querySelectorAll('.toast-action').length === 0")
    expect(box_of(page, f"GLISSE{lang.upper()}")).to_contain_text("09:00")
    assert practice.read(visit)["start"] == visit["start"]


def test_a_taken_time_sends_the_visit_back_and_offers_others(
    practice: Practice, browser_page: Browsing, watched: Watched
) -> None:
    watched.let.append("409")
    day = DAY + timedelta(days=1 if DAY.weekday() < 4 else 3)
    practice.book(day, "10:00", patient=practice.patient("Premier"))
    visit = practice.book(day, "09:00", patient=practice.patient("Second"))
    page = opened(practice, browser_page("fr"), day=day)
    drop(page, box_of(page, "SECOND"), 0, 60)
    expect(page.locator("#sheet .note-danger")).to_be_visible()
    expect(page.locator("#sheet [name=free]").first).to_be_visible()
    assert practice.read(visit)["start"] == visit["start"]
    page.locator("#sheet [name=free]").first.click()
    expect(page.locator("#sheet")).to_be_hidden()
    page.locator(".toast-action").wait_for()
    assert practice.read(visit)["start"] != visit["start"]


def test_without_the_network_the_visit_goes_back_and_the_page_says_so(
    practice: Practice, browser_page: Browsing, watched: Watched
) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK"]
    day = DAY + timedelta(days=35)
    visit = practice.book(day, "09:00", patient=practice.patient("Coupure"))
    page = opened(practice, browser_page("fr"), day=day)
    page.context.set_offline(True)
    drop(page, box_of(page, "COUPURE"), 1, 60)
    expect(page.locator(".toast-warning")).to_contain_text("pas arrivé")
    expect(box_of(page, "COUPURE")).to_contain_text("09:00")
    practice.book(day, "11:00", patient=practice.patient("Retour"))
    page.context.set_offline(False)
    expect(box_of(page, "RETOUR")).to_be_visible()
    assert practice.read(visit)["meta"]["versionId"] == "1"


def test_the_keyboard_moves_a_visit_too(practice: Practice, browser_page: Browsing) -> None:
    day = DAY + timedelta(days=14)
    visit = practice.book(day, "09:00", patient=practice.patient("Clavier"))
    page = opened(practice, browser_page("fr"), day=day)
    box_of(page, "CLAVIER").focus()
    page.keyboard.press("m")
    page.locator("#sheet #time").fill("15:00")
    page.keyboard.press("Enter")
    page.locator(".toast-action").wait_for()
    assert practice.read(visit)["start"] == at(day, "15:00")
    expect(box_of(page, "CLAVIER")).to_contain_text("15:00")


def test_a_click_on_an_empty_time_books_it(practice: Practice, browser_page: Browsing) -> None:
    day = DAY + timedelta(days=15 if DAY.weekday() < 4 else 17)
    patient = practice.patient("Zouhairi", "Hind")
    page = opened(practice, browser_page("fr"), day=day)
    column = page.locator(".ec-body .ec-day").nth(1).bounding_box()
    assert column is not None
    page.mouse.click(column["x"] + column["width"] / 2, max(column["y"], 200) + 100)
    expect(page.locator("#sheet #who")).to_have_value(practice.doctors[1])
    time = page.locator("#sheet #time").input_value()
    page.locator("#sheet #q").fill("zouhai")
    page.locator(f"#patient-{patient.partition('/')[2]}").check()
    page.locator("#sheet .actions [type=submit]").click()
    expect(box_of(page, "ZOUHAIRI")).to_contain_text(time)


def test_what_others_book_appears_by_itself_but_not_under_a_drag(practice: Practice, browser_page: Browsing) -> None:
    day = DAY + timedelta(days=21)
    visit = practice.book(day, "09:00", patient=practice.patient("Tenu"))
    page = opened(practice, browser_page("fr"), day=day)
    here = box_of(page, "TENU").bounding_box()
    assert here is not None
    page.mouse.move(here["x"] + 30, here["y"] + 6)
    page.mouse.down()
    page.mouse.move(here["x"] + 34, here["y"] + 60, steps=6)
    practice.book(day, "13:00", patient=practice.patient("Autre"))
    page.wait_for_timeout(1500)
    assert box_of(page, "AUTRE").count() == 0
    page.mouse.move(here["x"] + 30, here["y"] + 6, steps=4)
    page.mouse.up()
    expect(box_of(page, "AUTRE")).to_be_visible()
    assert practice.read(visit)["start"] == visit["start"]


@pytest.mark.parametrize(("lang", "phone", "dark"), [("fr", False, False), ("ar", False, True), ("ar", True, False)])
def test_pages_are_for_everybody(
    practice: Practice, browser_page: Browsing, axe: Callable[[Page], list[str]], lang: str, phone: bool, dark: bool
) -> None:
    day = DAY + timedelta(days=28)
    if not phone:
        evil = "<img src=x onerror='window.broken=1'>"
        practice.book(day, f"{9 + dark:02}:00", patient=practice.patient("Lisible", evil))
    page = opened(practice, browser_page(lang, phone=phone, dark=dark), day=day, role="practitioner" if dark else "manager")
    assert axe(page) == []
    for view in ("week", "list"):
        shows(page, view)
        assert axe(page) == [], view
    page.keyboard.press("n")
    expect(page.locator("#sheet #q")).to_be_focused()
    assert axe(page) == []
    page.keyboard.press("Escape")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("window.broken") is None


@pytest.mark.parametrize(("lang", "days"), [("fr", 1), ("ar", -1)])
def test_a_swipe_turns_the_page(practice: Practice, browser_page: Browsing, lang: str, days: int) -> None:
    page = opened(practice, browser_page(lang, phone=True))
    fingers = page.context.new_cdp_session(page)
    touch = "Input.dispatchTouchEvent"
    fingers.send(touch, {"type": "touchStart", "touchPoints": [{"x": 300, "y": 420}]})
    for x in range(280, 80, -40):
        fingers.send(touch, {"type": "touchMove", "touchPoints": [{"x": x, "y": 420}]})
        page.wait_for_timeout(30)
    fingers.send(touch, {"type": "touchEnd", "touchPoints": []})
    expect(page).to_have_url(re.compile(f"date={DAY + timedelta(days=days)}"))


def test_the_smallest_phone_has_no_sideways_scroll(practice: Practice, browser_page: Browsing) -> None:
    page = browser_page("fr", phone=True)
    page.set_viewport_size({"width": 320, "height": 640})
    opened(practice, page)
    for view in ("day", "week", "list"):
        shows(page, view)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
