"""The reception in a real browser: with the keyboard, on a phone in Arabic, live, and without a network."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.ui.conftest import Demo, Watched, offered, scrolls_sideways
from tests.ui.desk.arranged import QUEUE, booked, opened, patient, since_midnight, state, ticket_of

Open = Callable[..., Page]
Axe = Callable[[Page], list[str]]
FAILED = "Failed to load resource"


@dataclass
class Hands:
    """What a person does at a page; typing a word is one action, like a press or a click."""

    page: Page
    actions: int = 0

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.actions += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.actions += 1

    def click(self, selector: str) -> None:
        self.page.click(selector)
        self.actions += 1


def at_desk(demo: Demo, page: Page, role: str = "receptionist") -> Hands:
    """The day's page, ready for keys."""
    demo.sign_in(page, role)
    page.goto(f"{demo.base}/desk/")
    page.wait_for_function("window.htmx && document.getElementById('main').dataset.tabOpen")
    return Hands(page)


def test_a_booked_patient_is_checked_in_with_two_keys_and_taken_back(demo: Demo, browser_page: Open) -> None:
    client = opened(demo)
    who = patient(client, "Clavier", "Mouna")
    visit = booked(client, who, "Mouna Clavier", minutes=-since_midnight())
    page = browser_page("fr")
    hands = at_desk(demo, page)
    page.keyboard.press("l")
    for _ in range(100):
        if page.evaluate("document.activeElement.id") == f"visit-{visit}":
            break
        page.keyboard.press("ArrowDown")
    hands.press("Enter")
    undo = offered(page)
    expect(page.locator(f"#visit-{visit} .ticket-no")).to_be_visible()
    assert hands.actions <= 2
    assert page.evaluate("document.activeElement.id") == f"visit-{visit}"
    task = ticket_of(client, who)
    assert state(client, task["id"])[1] == "waiting"
    undo.click()
    expect(page.locator(f"#visit-{visit} [data-first]")).to_be_visible()
    assert client.get(f"Appointment/{visit}").json["status"] == "booked"


def test_a_known_patient_has_a_ticket_after_three_actions(demo: Demo, browser_page: Open, axe: Axe) -> None:
    client = opened(demo)
    who = patient(client, "Zwawi", "Kenza")
    page = browser_page("fr")
    hands = at_desk(demo, page)
    page.keyboard.press("/")
    hands.type("zwawi")
    expect(page.locator("#hits [role=option]")).to_have_count(1)
    assert page.locator("#finder").get_attribute("aria-activedescendant") == "hit-1"
    assert axe(page) == []
    hands.press("Enter")
    expect(page.locator("#panel[open] [data-start]")).to_be_focused()
    assert axe(page) == []
    hands.press("Enter")
    expect(page.locator(".given-no")).to_contain_text("A-")
    assert hands.actions == 3
    assert ticket_of(client, who)["identifier"][0]["value"] in page.locator(".given-no").inner_text()
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#panel[open]")).to_have_count(0)


def test_call_next_is_one_key(demo: Demo, browser_page: Open) -> None:
    client = opened(demo)
    task = client.post(f"HealthcareService/{QUEUE}/$take-ticket").json
    number = task["identifier"][0]["value"]
    page = browser_page("fr")
    hands = at_desk(demo, page)
    page.fill("#at-desk", "Guichet 3")
    page.press("#at-desk", "Tab")
    expect(page.locator("#at-desk")).to_have_value("Guichet 3")
    for _ in range(40):
        page.evaluate("document.activeElement.blur()")
        before = hands.actions
        hands.press("n")
        page.locator(".toast-note").first.wait_for()
        assert hands.actions - before == 1
        if state(client, task["id"])[1] == "called":
            break
        # It may have gone by itself meanwhile.
        page.evaluate("document.querySelectorAll('.toast-note').forEach(each => each.remove())")
    assert state(client, task["id"])[1] == "called"
    expect(page.locator(f"#ticket-{task['id']}")).to_contain_text("Guichet 3")
    expect(page.locator(f"#ticket-{task['id']}")).to_contain_text(number)


def test_what_others_do_is_seen_without_loading_the_page_again(demo: Demo, browser_page: Open) -> None:
    client = opened(demo)
    visit = booked(client, patient(client, "Direct", "Adam"), minutes=-since_midnight())
    page = browser_page("fr")
    at_desk(demo, page)
    expect(page.locator(f"#visit-{visit} [data-first]")).to_be_visible()
    page.evaluate("window.same = true")
    client.post(f"Appointment/{visit}/$check-in", {
        "resourceType": "Parameters",
        "parameter": [{"name": "queue", "valueReference": {"reference": f"HealthcareService/{QUEUE}"}}],
    })  # fmt: skip
    expect(page.locator(f"#visit-{visit} .ticket-no")).to_be_visible()
    assert page.evaluate("window.same")


def test_nothing_typed_is_lost_without_a_network(demo: Demo, browser_page: Open, watched: Watched) -> None:
    watched.let += [FAILED, "ERR_INTERNET_DISCONNECTED", "Failed to fetch"]
    client, page = opened(demo), browser_page("fr")
    at_desk(demo, page)
    page.keyboard.press("p")
    page.fill("#family", "Horsligne")
    page.fill("#given", "Rim")
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    # Whether somebody of this name is known is asked, too, but that is nothing to send.
    page.fill("#birth", "1990")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/patients/same")):
        page.press("#birth", "Tab")
    page.click("#panel button[type=submit]")
    expect(page.locator(".toast-warning")).to_have_count(1)
    expect(page.locator("#family")).to_have_value("Horsligne")
    page.context.set_offline(False)
    expect(page.locator("#panel-title")).to_contain_text("Rim HORSLIGNE")
    assert len(client.search("Patient?family=Horsligne")) == 1


def test_change_is_reckoned_and_the_receipt_shown(demo: Demo, browser_page: Open, axe: Axe) -> None:
    client = opened(demo)
    who = patient(client, "Caisse", "Rita")
    visit = booked(client, who, minutes=-since_midnight())
    page = browser_page("fr")
    at_desk(demo, page)
    page.click(f"#visit-{visit} [data-more]")
    page.click("#panel a[href*='payments/new']")
    expect(page.locator("[data-total]")).to_contain_text("250,00")
    page.fill("[name=tendered]", "300")
    expect(page.locator("[data-change]")).to_contain_text("50,00")
    assert axe(page) == []
    page.click("#panel form[data-money] button[type=submit]")
    expect(page.locator("#panel .money-change")).to_contain_text("50,00")
    assert axe(page) == []
    assert client.search(f"Invoice?subject=Patient/{who}")[0]["status"] == "balanced"


def test_in_arabic_on_a_phone(demo: Demo, browser_page: Open, axe: Axe) -> None:
    client = opened(demo)
    who = patient(client, "Hatif", "Salma")
    visit = booked(client, who, minutes=-since_midnight())
    page = browser_page("ar", phone=True)
    at_desk(demo, page)
    assert page.locator("html").get_attribute("dir") == "rtl"
    for width in (360, 320):
        page.set_viewport_size({"width": width, "height": 740})
        for pane in ("visits", "queues"):
            page.click(f"[data-tab={pane}]")
            assert not scrolls_sideways(page), (width, pane)
            assert axe(page) == []
    page.click("[data-tab=visits]")
    page.click(f"#visit-{visit} [data-first]")
    expect(page.locator(f"#visit-{visit} .ticket-no")).to_be_visible()
    page.click(f"#visit-{visit} .line-name")
    expect(page.locator("#panel-title")).to_contain_text("Salma HATIF")
    assert axe(page) == [] and not scrolls_sideways(page)
    page.click(".drawer-close")
    page.click("a[data-hotkey=p]")
    expect(page.locator("#family")).to_be_visible()
    assert axe(page) == [] and not scrolls_sideways(page)


def test_dark_and_with_help(demo: Demo, browser_page: Open, axe: Axe) -> None:
    opened(demo)
    page = browser_page("es", dark=True)
    at_desk(demo, page)
    assert axe(page) == []
    page.keyboard.press("?")
    expect(page.locator("#keys[open]")).to_be_visible()
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#keys[open]")).to_have_count(0)
