"""The ticket page's weight and calls, the app on the phone, and what a lost network does."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.ui.conftest import Demo, Watched, until
from tests.ui.portal.browsing import WORDS, Axe, Open, fine, open_queue
from tests.ui.portal.people import booked, observation, parameters, patient
from tests.ui.portal.test_ticket import link


@pytest.fixture(scope="module", autouse=True)
def _queue(demo: Demo) -> None:
    open_queue(demo)


# -- the ticket page ---------------------------------------------------------------------------------------------------


def test_the_ticket_page_loads_in_one_round_and_weighs_little(demo: Demo, browser_page: Open) -> None:
    """The budget is 100 KB; what Chromium says came over the line is a fraction of it."""
    _, secret = link(demo)
    page = browser_page("fr", phone=True)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    sizes: dict[str, int] = {}
    asked: dict[str, dict[str, Any]] = {}
    network.on("Network.requestWillBeSent", lambda event: asked.__setitem__(event["requestId"], event))
    network.on(
        "Network.loadingFinished", lambda event: sizes.__setitem__(event["requestId"], event["encodedDataLength"])
    )
    page.goto(f"{demo.base}/ticket/{secret}")
    page.wait_for_load_state("load")
    page.wait_for_timeout(300)
    total, urls = sum(sizes.values()), [event["request"]["url"] for event in asked.values()]
    assert total < 30_000, (total, urls)
    # One round: all but the page itself was asked for by the page, nothing by what it asked for.
    kinds = {event["initiator"]["type"] for event in asked.values() if event["type"] != "Document"}
    assert kinds == {"parser"} and len(urls) <= 6, urls


@pytest.mark.parametrize("lang", ["fr", "ar"])
def test_who_waits_is_told_at_once_that_it_is_the_turn(demo: Demo, browser_page: Open, axe: Axe, lang: str) -> None:
    task, secret = link(demo)
    page = browser_page(lang, phone=True)
    page.add_init_script("window.shaken = []; navigator.vibrate = pattern => window.shaken.push(pattern);")
    page.clock.install()
    page.goto(f"{demo.base}/ticket/{secret}")
    fine(page, axe)
    demo.client().post(
        f"Task/{task}/$call",
        parameters({"name": "reason", "valueString": "test"}, {"name": "desk", "valueString": "Cabinet 2"}),
    )
    # Who is far from the turn asks every fifteen seconds.
    page.clock.run_for(15_000)
    until(page, "document.body.classList.contains('is-called')")
    assert (
        WORDS[lang]["turn"] in page.locator("#turn").inner_text() and "Cabinet 2" in page.locator("#desk").inner_text()
    )
    assert page.title().startswith("🔔 ") and page.evaluate("window.shaken.length") == 1
    fine(page, axe)


@pytest.mark.parametrize("lang", ["fr", "ar"])
def test_without_a_network_the_ticket_says_so_and_catches_up_by_itself(
    demo: Demo, browser_page: Open, watched: Watched, lang: str
) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "Failed to fetch"]
    task, secret = link(demo)
    page = browser_page(lang, phone=True)
    page.goto(f"{demo.base}/ticket/{secret}")
    number = page.locator("#number").inner_text()
    page.context.set_offline(True)
    until(page, "!document.getElementById('offline').hidden")
    said = page.locator("#offline").inner_text()
    assert (
        WORDS[lang]["lost"] in said and re.search(r"\d\d:\d\d", said) and page.locator("#number").inner_text() == number
    )
    demo.client().post(
        f"Task/{task}/$call",
        parameters({"name": "reason", "valueString": "test"}, {"name": "desk", "valueString": "3"}),
    )
    page.context.set_offline(False)
    until(page, "document.body.classList.contains('is-called')", 60)
    assert page.locator("#offline").is_hidden() and "🔔" in page.title()


def test_the_first_page_says_that_there_is_no_network_and_catches_up_without_being_loaded_again(
    demo: Demo, browser_page: Open, watched: Watched
) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "Failed to fetch", "ERR_NETWORK"]
    known = patient(demo)
    known.person.post("portal/queues/demo-queue")
    task = demo.client().search(f"Task?patient={known.reference}")[0]["id"]
    page = browser_page("fr", phone=True)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/")
    page.evaluate("window.same = true")
    page.context.set_offline(True)
    page.locator("#offline").wait_for()
    demo.client().post(
        f"Task/{task}/$call",
        parameters({"name": "reason", "valueString": "test"}, {"name": "desk", "valueString": "Cabinet 1"}),
    )
    page.context.set_offline(False)
    page.get_by_text("C’est à vous").wait_for()
    assert page.locator("#offline").is_hidden() and page.evaluate("window.same")


def test_a_hidden_page_does_not_ask(demo: Demo, browser_page: Open) -> None:
    _, secret = link(demo)
    page = browser_page("fr", phone=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/tickets/" in request.url else None)
    page.clock.install()
    page.goto(f"{demo.base}/ticket/{secret}")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.clock.run_for(40_000)
    before = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == before <= 1
    with page.expect_request(lambda request: "/tickets/" in request.url):
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {value: false}); document.dispatchEvent(new Event('visibilitychange'))"
        )
    page.wait_for_timeout(300)
    assert len(asked) == before + 1


def test_a_ticket_is_given_back_after_a_question(demo: Demo, browser_page: Open) -> None:
    task, secret = link(demo)
    page = browser_page("fr", phone=True)
    page.goto(f"{demo.base}/ticket/{secret}")
    page.locator("summary").click()
    page.get_by_role("button", name="Oui, rendre mon ticket").click()
    page.get_by_text("Ce ticket a été rendu").wait_for()
    assert demo.client().get(f"Task/{task}").json["status"] == "cancelled"


# -- the app -----------------------------------------------------------------------------------------------------------


def installed(page: Page, demo: Demo) -> None:
    """Wait until the clinic's service worker holds the page."""
    page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
    until(page, "navigator.serviceWorker.controller !== null")


def test_the_next_appointment_is_read_without_a_network_and_forgotten_with_the_sign_out(
    demo: Demo, browser_page: Open, watched: Watched, axe: Axe
) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "Failed to fetch", "net::ERR"]
    known = patient(demo)
    booked(demo.client(), known.reference, days=2)
    demo.client().create(observation(known.reference))
    page = browser_page("fr", phone=True)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/")
    installed(page, demo)
    page.goto(f"{demo.base}/portal/")
    until(page, f"caches.open('salam:{demo.slug}:next').then(cache => cache.keys()).then(keys => keys.length === 1)")
    page.goto(f"{demo.base}/portal/results")
    page.context.set_offline(True)
    page.goto(f"{demo.base}/portal/visits")
    page.get_by_role("heading", name="Votre prochain rendez-vous").wait_for()
    assert "Dr Salma EL AMRANI" in page.locator("#next").inner_text()
    fine(page, axe)
    # Nothing else of the record is on the phone.
    kept = page.evaluate(
        "caches.keys().then(names => Promise.all(names.map(async name => (await (await caches.open(name)).keys()).map(r => new URL(r.url).pathname)))).then(all => all.flat())"
    )
    assert [path for path in kept if "/portal/" in path and "static" not in path] == [
        f"/t/{demo.slug}/ui/portal/next.json"
    ]
    page.context.set_offline(False)
    page.get_by_role("heading", name="Rendez-vous", exact=True).wait_for()
    page.goto(f"{demo.base}/portal/more")
    page.locator("a[data-forget]").click()
    page.wait_for_url("**/oauth/logout")
    assert page.evaluate("caches.keys()") == [
        each for each in page.evaluate("caches.keys()") if not each.endswith(":next")
    ]


def test_a_session_that_ended_takes_the_appointment_from_the_phone(demo: Demo, browser_page: Open) -> None:
    known = patient(demo)
    booked(demo.client(), known.reference, days=2)
    page = browser_page("fr", phone=True)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/")
    installed(page, demo)
    page.goto(f"{demo.base}/portal/")
    until(page, f"caches.open('salam:{demo.slug}:next').then(cache => cache.keys()).then(keys => keys.length === 1)")
    page.context.clear_cookies()
    page.goto(f"{demo.base}/portal/")
    assert "/oauth/login" in page.url
    until(page, f"caches.has('salam:{demo.slug}:next').then(there => !there)")


def test_chromium_finds_nothing_that_keeps_the_app_from_being_installed(demo: Demo, browser_page: Open) -> None:
    known = patient(demo)
    page = browser_page("fr", phone=True)
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/")
    installed(page, demo)
    session = page.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == [] and manifest["url"].endswith("/ui/manifest.webmanifest")
    problems = [each["errorId"] for each in session.send("Page.getInstallabilityErrors")["installabilityErrors"]]
    # A test's browser profile is a private one, in which nothing is installed.
    assert [each for each in problems if each != "in-incognito"] == []


def test_a_push_is_shown_and_leads_to_this_clinic_only(demo: Demo, browser_page: Open) -> None:
    known = patient(demo)
    page = browser_page("fr", phone=True, permissions=["notifications"])
    demo.sign_in(page, email=known.email)
    page.goto(f"{demo.base}/portal/")
    installed(page, demo)
    worker = page.context.service_workers[0]
    shown = worker.evaluate("""async () => {
        const told = [];
        self.registration.showNotification = async (title, options) => { told.push([title, options.body, options.lang, options.dir, options.tag, options.data.url]); };
        const send = data => { const event = new Event("push"); event.data = data; event.waitUntil = () => {}; self.dispatchEvent(event); };
        send({json: () => ({title: "C’est à vous", body: "A-042", lang: "ar", url: "https://evil.example/", tag: "t1"})});
        send({json: () => { throw new Error("not JSON"); }});
        send(null);
        return told;
    }""")
    assert shown == [["C’est à vous", "A-042", "ar", "rtl", "t1", "https://evil.example/"]]
    opened = worker.evaluate("""async () => {
        const opened = [];
        self.clients.openWindow = async url => { opened.push(url); };
        self.clients.matchAll = async () => [];
        for (const url of ["https://evil.example/", "/t/other/ui/", `/t/${SLUG}/ui/portal/visits`, undefined]) {
            const event = new Event("notificationclick"), all = [];
            event.notification = {close() {}, data: {url}};
            event.waitUntil = promise => all.push(promise);
            self.dispatchEvent(event);
            await Promise.all(all);
        }
        return opened.map(url => new URL(url, location.origin).pathname);
    }""")
    home = f"/t/{demo.slug}/ui/portal/"
    assert opened == [home, home, f"{home}visits", home]
