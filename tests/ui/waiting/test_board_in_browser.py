"""The board in a real browser: calls in time, one after the other, and a network that goes and comes."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.client import Client
from tests.features.queue.place import plain
from tests.ui.conftest import Demo, Watched, at_rest, until
from tests.ui.waiting.screens import LAB, QUEUE, Axe, Opens, later, open_queues, opened, staff, stopped

__all__ = ["open_queues", "opened", "staff"]
TELEVISION = {"width": 1920, "height": 1080}


def said(**given: str) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, "valueString": value} for name, value in given.items()]}


def called(staff: Client, desk: str, queue: str = QUEUE) -> str:
    """The number of a ticket that was taken and called just now."""
    assert staff.post(f"{queue}/$take-ticket").status == 200
    answer = staff.post(f"{queue}/$call-next", said(desk=desk))
    assert answer.json["resourceType"] == "Task", answer.text
    return str(answer.json["identifier"][0]["value"])


def board(demo: Demo, browser_page: Opens, **given: Any) -> Page:
    page = browser_page(**{"viewport": TELEVISION, **given})
    demo.sign_in(page, "board")
    page.goto(f"{demo.base}/board/")
    expect(page.locator(".queue")).to_have_count(2)
    return page


def asked_again(page: Page) -> None:
    """Wait until the board has shown two more answers of the server."""
    for _ in range(2):
        page.wait_for_event("requestfinished", lambda request: "/board/now" in request.url)
    page.wait_for_timeout(100)


def test_a_call_is_shown_within_two_seconds(demo: Demo, opened: Opens, staff: Client) -> None:
    page = board(demo, lambda **given: stopped(opened(**given)))
    number = called(staff, "Cabinet 2")
    later(page, 2)
    expect(page.locator(".latest .number")).to_have_text(number)
    # Each call is announced by a timer of its own.
    page.clock.run_for(1)
    expect(page.locator(".latest")).to_have_class(re.compile("calling"))
    expect(page.locator(".latest .desk-name")).to_have_text("Cabinet 2")


def test_two_desks_at_once_are_called_one_after_the_other(demo: Demo, opened: Opens, staff: Client) -> None:
    page = board(demo, opened)
    page.evaluate("""() => { window.order = []; window.most = 0; new MutationObserver(() => {
        const now = [...document.querySelectorAll(".calling .number")].map(each => each.textContent);
        most = Math.max(most, now.length);
        for (const each of now) if (!order.includes(each)) order.push(each);
    }).observe(document.querySelector(".list"), {subtree: true, childList: true, attributes: true}); }""")
    first, second = called(staff, "1"), called(staff, "2", LAB)
    until(page, "order.length >= 2")
    assert page.evaluate("[order, most]") == [[first, second], 1]


def test_the_network_is_gone_and_comes_back(demo: Demo, opened: Opens, staff: Client, watched: Watched) -> None:
    watched.let += ["ERR_INTERNET_DISCONNECTED", "Failed to load resource"]
    page = board(demo, opened)
    before = page.evaluate("performance.timeOrigin")
    page.context.set_offline(True)
    expect(page.locator(".lost")).to_be_visible()
    expect(page.locator(".lost-time")).to_have_text(re.compile(r"^\d\d:\d\d$"))
    number = called(staff, "Cabinet 1")
    page.wait_for_timeout(1500)
    assert page.locator(f".number:text-is('{number}')").count() == 0
    page.context.set_offline(False)
    expect(page.locator(f".latest .number:text-is('{number}')")).to_be_visible()
    expect(page.locator(".lost")).to_be_hidden()
    assert page.evaluate("performance.timeOrigin") == before


def test_old_calls_are_not_called_out_again(demo: Demo, opened: Opens, staff: Client) -> None:
    number = called(staff, "Cabinet 1")
    page = board(demo, opened)
    expect(page.locator(f".number:text-is('{number}')")).to_be_visible()
    asked_again(page)
    assert page.locator(".calling").count() == 0
    page.reload()
    asked_again(page)
    assert page.locator(".calling").count() == 0


def test_languages_take_turns_and_each_runs_its_way(demo: Demo, opened: Opens) -> None:
    television = opened(viewport=TELEVISION)
    television.clock.install()
    page = board(demo, lambda **_: television)
    assert page.evaluate("document.documentElement.dir") == "ltr"
    title = page.locator("#calls-title")
    expect(title).to_have_text("Veuillez vous présenter")
    page.clock.run_for(8000)
    expect(title).to_have_attribute("dir", "rtl")
    expect(title).to_have_attribute("lang", "ar")
    expect(title).to_have_text("تفضّلوا بالدخول")


def test_a_pause_and_its_message(demo: Demo, opened: Opens, staff: Client) -> None:
    page = board(demo, opened)
    staff.post(f"{LAB}/$pause", said(message="Retour à 14 h <b>30</b>"))
    expect(page.locator(".message")).to_have_text("B · Retour à 14 h <b>30</b>")
    assert page.locator(".queue[data-state=paused]").count() == 1
    staff.post(f"{LAB}/$resume")
    expect(page.locator(".messages")).to_be_hidden()


@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160), (1080, 1920), (1280, 720), (1024, 768)])
def test_everything_is_on_the_screen(demo: Demo, opened: Opens, staff: Client, size: tuple[int, int]) -> None:
    for desk in ("1", "Cabinet 12", "Salle de prélèvement, premier étage"):
        called(staff, desk)
    page = board(demo, opened, viewport={"width": size[0], "height": size[1]})
    at_rest(page)
    assert page.evaluate("[document.documentElement.scrollHeight <= innerHeight, document.documentElement.scrollWidth <= innerWidth]") == [True, True]
    cut = page.evaluate("""[...document.querySelectorAll(".call, .queue")].filter(box => {
        const outer = box.getBoundingClientRect();
        return [...box.querySelectorAll(".number, .desk-name, .count, .range")].some(each => { const r = each.getBoundingClientRect(); return r.left < outer.left || r.right > outer.right + 1 || r.top < outer.top - 1 || r.bottom > outer.bottom + 1; });
    }).map(box => box.textContent)""")
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_board(demo: Demo, opened: Opens, axe: Axe, scheme: str) -> None:
    assert axe(board(demo, opened, color_scheme=scheme)) == []


def test_a_board_that_is_put_out_asks_for_a_code(demo: Demo, opened: Opens, staff: Client, watched: Watched) -> None:
    watched.let.append("401")
    made = staff.create({
        "resourceType": "Device", "status": "active", "location": {"reference": "Location/demo-maarif"},
        "type": {"coding": [{"system": "urn:salam:CodeSystem:device-kind", "code": "board"}]},
    })["id"]  # fmt: skip
    offered = plain(staff.post(f"Device/{made}/$pair").json)
    page = opened()
    page.goto(f"{demo.origin}/t/{demo.slug}/oauth/device?code={offered['code']}")
    page.locator("button.primary").click()
    expect(page.locator(".queue").first).to_be_visible()
    staff.post(f"Device/{made}/$unpair")
    expect(page.locator("input[name=code]")).to_be_visible()


@pytest.mark.slow
def test_hours_of_calls_leave_nothing_behind(demo: Demo, opened: Opens) -> None:
    """Six hours of calls at a hundred times their speed: the page does not grow."""
    page = board(demo, opened, reduced_motion="reduce")
    page.evaluate(
        """() => { const real = fetch; let n = 0, stamp = 0;
        window.fetch = async (...given) => { const answer = await real(...given); const data = await answer.json(); stamp += 1;
            const at = new Date().toISOString(), calls = [];
            for (let k = 0; k < 8; k += 1) calls.push({queue: "HealthcareService/demo-queue", number: `A-${String(n - k).padStart(3, "0")}`, state: "called", desk: `${k % 3 + 1}`, calledAt: new Date(1e12 + (n - k) * 60000).toISOString(), times: 1});
            n += 1;
            return new Response(JSON.stringify({...data, timezone: "UTC", ahead: 0, computedAt: at, stamp: `s${stamp}`, languages: ["fr", "ar"], queues: [{queue: "HealthcareService/demo-queue", name: "Accueil", prefix: "A", state: "open", gives: true, waiting: n % 20, estimate: {low: 5, high: 20}}], calls}), {status: 200}); };
        const timer = setTimeout; window.setTimeout = (run, wait, ...rest) => timer(run, wait === 1000 ? 10 : wait === 3500 ? 5 : wait, ...rest); window.salamCalls = () => n; }"""
    )
    until(page, "salamCalls() > 60", 240)
    cdp = page.context.new_cdp_session(page)

    def grown() -> tuple[int, int, int]:
        cdp.send("HeapProfiler.collectGarbage")
        now = cdp.send("Memory.getDOMCounters")
        return int(page.evaluate("performance.memory.usedJSHeapSize")), int(now["nodes"]), int(now["jsEventListeners"])

    cdp.send("Performance.enable")
    first = grown()
    until(page, "salamCalls() > 420", 900)
    last = grown()
    assert last[0] < first[0] + 1_500_000 and last[1] < first[1] + 200 and last[2] <= first[2] + 5, (first, last)
