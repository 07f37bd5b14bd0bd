"""A browser's own EventSource follows the hub, comes back by itself after a restart, and misses nothing."""

from typing import TYPE_CHECKING

from playwright.sync_api import Browser

from tests.events.feeding import eventually
from tests.events.hubs import hub_apart

if TYPE_CHECKING:
    from tests.client import Client
    from tests.conftest import TestTenant

_FOLLOW = """([address]) => {
    window.heard = [];
    window.begun = 0;
    window.source = new EventSource(address);
    window.source.addEventListener("hello", () => { window.begun += 1; });
    window.source.addEventListener("change", (event) => { window.heard.push(JSON.parse(event.data).id); });
}"""


def test_an_event_source_misses_nothing(
    browser: Browser, live_server: str, tenant: "TestTenant", client: "Client"
) -> None:
    answer = client.post("$event-ticket", None).json
    ticket = next(each["valueString"] for each in answer["parameter"] if each["name"] == "ticket")
    # The front door is no page of an application: its policy allows no connections.
    context = browser.new_context(bypass_csp=True)
    try:
        page = context.new_page()
        page.goto(live_server)
        with hub_apart() as hub:
            query = f"topic=type:Patient&ticket={ticket}"
            page.evaluate(_FOLLOW, [f"http://127.0.0.1:{hub.port}/t/{tenant.slug}/events?{query}"])
            page.wait_for_function("window.begun === 1")
            made = [client.create({"resourceType": "Patient"})["id"]]
            page.wait_for_function("window.heard.length === 1")
            hub.stop()
            made += [client.create({"resourceType": "Patient"})["id"] for _ in range(5)]
            hub.start()
            made += [client.create({"resourceType": "Patient"})["id"]]
            assert eventually(lambda: set(page.evaluate("window.heard")) == set(made))
            assert page.evaluate("window.begun") == 1
    finally:
        context.close()


def test_another_origin_may_not_follow(browser: Browser, app: str, client: "Client", tenant: "TestTenant") -> None:
    context = browser.new_context(bypass_csp=True)
    try:
        page = context.new_page()
        page.goto(f"{app}/launch.html", wait_until="commit")
        answer = client.post("$event-ticket", None).json
        ticket = next(each["valueString"] for each in answer["parameter"] if each["name"] == "ticket")
        with hub_apart() as hub:
            query = f"topic=type:Patient&ticket={ticket}"
            page.evaluate(_FOLLOW, [f"http://127.0.0.1:{hub.port}/t/{tenant.slug}/events?{query}"])
            page.wait_for_function("window.source.readyState === EventSource.CLOSED")
            client.create({"resourceType": "Patient"})
            assert page.evaluate("[window.begun, window.heard.length]") == [0, 0]
    finally:
        context.close()
