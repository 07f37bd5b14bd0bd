"""The kiosk in a real browser: a ticket in four languages, by finger, scanner and keyboard; who goes away leaves nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from fhir_server.core import clock
from tests.client import Client
from tests.features.queue.place import plain
from tests.ui.conftest import Demo, Watched, scrolls_sideways
from tests.ui.waiting.screens import QUEUE, Axe, Opens, later, open_queues, opened, staff, stopped

__all__ = ["open_queues", "opened", "staff"]


def kiosk(demo: Demo, browser_page: Opens, **given: Any) -> Page:
    page = browser_page(**{"viewport": {"width": 1080, "height": 1920}, "has_touch": True, **given})
    demo.sign_in(page, "kiosk")
    page.goto(f"{demo.base}/kiosk/")
    expect(page.locator("[data-screen=start]")).to_be_visible()
    return page


def press(page: Page, screen: str, digits: str) -> None:
    for digit in digits:
        page.locator(f"[data-screen={screen}] [data-key='{digit}']").tap()


def test_a_queue_is_pressed_to_the_end(demo: Demo, opened: Opens, staff: Client) -> None:
    """What changes while a finger is on a button does not take the button away from under it."""
    page = kiosk(demo, opened)
    page.locator("[data-language=fr]").click()
    page.locator("[data-screen=what] [data-go=queues]").click()
    first = page.locator(".queue").first
    here = first.bounding_box()
    assert here is not None
    page.mouse.move(here["x"] + 20, here["y"] + 20)
    page.mouse.down()
    before = first.inner_text()
    assert staff.post(f"{QUEUE}/$take-ticket").status == 200
    expect(first).not_to_have_text(before, use_inner_text=True)
    page.mouse.up()
    expect(page.locator(".ticket-number")).to_have_text(re.compile(r"A-\d{3}"))


@pytest.mark.parametrize(("language", "direction", "queue"), [("fr", "ltr", "En attente"), ("ar", "rtl", "في الانتظار"), ("es", "ltr", "En espera"), ("en", "ltr", "Waiting")])
def test_a_ticket_without_an_appointment(demo: Demo, opened: Opens, language: str, direction: str, queue: str) -> None:
    page = kiosk(demo, opened)
    page.locator(f"[data-language={language}]").tap()
    # A tap is a click a moment later.
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert page.evaluate("document.documentElement.dir") == direction
    page.locator("[data-screen=what] [data-go=queues]").tap()
    first = page.locator(".queue").first
    expect(first).to_contain_text(queue)
    first.dblclick()
    number = page.locator(".ticket-number")
    expect(number).to_have_text(re.compile(r"A-\d{3}"))
    expect(page.locator(".ticket-code img")).to_have_attribute("src", re.compile("^data:image/svg"))
    assert not scrolls_sideways(page)
    waiting = plain(demo.client().get(f"{QUEUE}/$queue").json)["tickets"]
    assert [each["number"] for each in waiting].count(number.text_content()) == 1


def test_an_appointment_by_phone_and_birth_date(demo: Demo, opened: Opens, staff: Client) -> None:
    phone, born = "+212690102030", "1971-02-03"
    who = staff.create({"resourceType": "Patient", "name": [{"family": "X"}], "birthDate": born, "telecom": [{"system": "phone", "value": phone}]})
    start = clock.now() + timedelta(minutes=5)
    actors = [f"Patient/{who['id']}", "HealthcareService/demo-consultation"]
    booked = staff.create({
        "resourceType": "Appointment", "status": "booked", "start": start.isoformat(), "end": (start + timedelta(minutes=10)).isoformat(),
        "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in actors],
    })  # fmt: skip
    page = kiosk(demo, opened)
    page.locator("[data-language=ar]").tap()
    page.locator("[data-screen=what] [data-go=scan]").tap()
    page.locator("[data-screen=scan] [data-go=phone]").tap()
    press(page, "phone", "0690102030")
    page.locator("[data-screen=phone] .main").tap()
    press(page, "birth", "31021971")
    expect(page.locator(".wrong")).to_be_visible()
    for _ in range(8):
        page.locator("[data-screen=birth] [data-key=erase]").tap()
    press(page, "birth", "03021971")
    page.locator("[data-send=person]").tap()
    expect(page.locator(".ticket-number")).to_have_text(re.compile(r"A-\d{3}"))
    assert staff.get(f"Appointment/{booked['id']}").json["status"] == "checked-in"
    text = page.locator("body").text_content() or ""
    assert "1971" not in text and "690102030" not in text.replace(" ", "")


def test_a_scanner_that_types(demo: Demo, opened: Opens, staff: Client, watched: Watched) -> None:
    watched.let.append("404")
    taken = staff.post(f"{QUEUE}/$take-ticket", {"resourceType": "Parameters", "parameter": [{"name": "remote", "valueBoolean": True}]}).json
    link = plain(staff.post(f"Task/{taken['id']}/$ticket-link").json)["url"]
    page = kiosk(demo, opened)
    page.keyboard.type(link, delay=2)
    page.keyboard.press("Enter")
    expect(page.locator(".ticket-number")).to_have_text(taken["identifier"][0]["value"])
    page.locator("[data-screen=ticket] [data-go=start]").tap()
    expect(page.locator("[data-screen=start]")).to_be_visible()
    page.keyboard.type("https://example.org/something/else", delay=2)
    page.keyboard.press("Enter")
    expect(page.locator("[data-screen=problem] h1")).to_have_text("Nous ne vous avons pas trouvé")


def test_a_slow_scanner_and_a_quick_hand(demo: Demo, opened: Opens, staff: Client) -> None:
    taken = staff.post(f"{QUEUE}/$take-ticket", {"resourceType": "Parameters", "parameter": [{"name": "remote", "valueBoolean": True}]}).json
    link = plain(staff.post(f"Task/{taken['id']}/$ticket-link").json)["url"]
    page = kiosk(demo, opened)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    # Keys that arrive with pauses, as far as this page knows: what counts is the moment each says of itself.
    keys = """([text, pause]) => {
        let moment = performance.now() - (text.length + 1) * pause;
        for (const key of [...text, "Enter"]) {
            const event = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true});
            Object.defineProperty(event, "timeStamp", {value: moment += pause});
            document.body.dispatchEvent(event);
        }
    }"""
    page.evaluate(keys, ["+212612345678", 1])
    page.evaluate(keys, [link, 700])
    expect(page.locator("[data-screen=start]")).to_be_visible()
    assert not sent
    page.evaluate(keys, [link, 300])
    expect(page.locator(".ticket-number")).to_have_text(taken["identifier"][0]["value"])


def test_whoever_goes_away_leaves_nothing(demo: Demo, opened: Opens) -> None:
    page = stopped(opened(viewport={"width": 1080, "height": 1920}))
    demo.sign_in(page, "kiosk")
    page.goto(f"{demo.base}/kiosk/")
    page.locator("[data-language=fr]").click()
    page.locator("[data-screen=what] [data-go=scan]").click()
    page.locator("[data-screen=scan] [data-go=phone]").click()
    page.keyboard.type("0612")
    expect(page.locator("#phone-shown")).to_have_text("06 12")
    later(page, 31)
    expect(page.locator(".still")).to_be_visible()
    page.locator(".still button").click()
    expect(page.locator("#phone-shown")).to_have_text("06 12")
    later(page, 41)
    expect(page.locator("[data-screen=start]")).to_be_visible()
    expect(page.locator("#phone-shown")).to_have_text("")


def test_without_a_network_it_sends_to_the_reception(demo: Demo, opened: Opens, watched: Watched) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "Failed to load resource"]
    page = kiosk(demo, opened)
    page.context.set_offline(True)
    expect(page.locator("[data-screen=offline]")).to_be_visible()
    expect(page.locator("[data-screen=offline]")).to_contain_text("توجّهوا إلى الاستقبال")
    page.context.set_offline(False)
    expect(page.locator("[data-screen=start]")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["fr", "ar"])
def test_axe_and_large_buttons_on_every_step(demo: Demo, opened: Opens, axe: Axe, language: str, scheme: str) -> None:
    page = kiosk(demo, opened, color_scheme=scheme)

    def check(screen: str) -> None:
        expect(page.locator(f"[data-screen={screen}]")).to_be_visible()
        assert axe(page) == []
        small = page.evaluate("[...document.querySelectorAll('button')].filter(b => b.checkVisibility()).map(b => [b.textContent, b.getBoundingClientRect()]).filter(([, r]) => r.width < 80 || r.height < 80).map(([t]) => t)")
        assert small == [] and not scrolls_sideways(page)

    check("start")
    page.locator(f"[data-language={language}]").tap()
    check("what")
    page.locator("[data-screen=what] [data-go=scan]").tap()
    check("scan")
    page.locator("[data-screen=scan] [data-go=phone]").tap()
    check("phone")
    press(page, "phone", "0612345678")
    page.locator("[data-screen=phone] .main").tap()
    check("birth")
    page.locator("[data-screen=birth] [data-go=start]").tap()
    page.locator(f"[data-language={language}]").tap()
    page.locator("[data-screen=what] [data-go=queues]").tap()
    check("queues")
    page.locator(".queue").first.tap()
    check("ticket")


def test_the_keyboard_is_enough(demo: Demo, opened: Opens) -> None:
    page = kiosk(demo, opened)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-screen=what] h1")).to_be_focused()
    for key in ("Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("[data-screen=queues] h1")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".ticket-number")).to_have_text(re.compile(r"A-\d{3}"))
