"""What the browser tests of the board and of the kiosk share: open queues, a page of any size, and its clock."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page

from fhir_server.core import clock
from tests.client import Client
from tests.ui.conftest import PATIENCE, Demo, Watched, until

QUEUE, LAB = "HealthcareService/demo-queue", "HealthcareService/demo-laboratory"
Opens = Callable[..., Page]
Axe = Callable[[Page], list[str]]


@pytest.fixture(scope="module")
def staff(demo: Demo) -> Client:
    return demo.client()


@pytest.fixture(autouse=True)
def open_queues(staff: Client) -> None:
    for queue in (QUEUE, LAB):
        staff.post(f"{queue}/$open")


@pytest.fixture
def opened(browser: Any, watched: Watched) -> Opens:
    """Like `browser_page`, of any size."""

    def new(lang: str = "fr", **given: Any) -> Page:
        context = browser.new_context(locale=lang, **given)
        context.set_default_timeout(PATIENCE)
        watched.contexts.append(context)
        page: Page = context.new_page()
        watched.watch(page)
        return page

    return new


_UNDER_WAY = """(() => { const real = fetch; window.underWay = 0; window.fetch = async (...given) => {
    underWay += 1;
    try {
        const answer = await real(...given), json = answer.json.bind(answer);
        if (answer.ok) answer.json = () => json().finally(() => { underWay -= 1; }); else underWay -= 1;
        return answer;
    } catch (error) { underWay -= 1; throw error; }
}; })();"""


def stopped(page: Page) -> Page:
    """The page's clock stands still but for `later`, and the page says how many answers it waits for."""
    page.add_init_script(_UNDER_WAY)
    page.clock.install(time=clock.now())
    page.clock.pause_at(clock.now() + timedelta(hours=1))
    return page


def later(page: Page, seconds: int) -> None:
    """So many seconds later on the page's clock, while the server answers in its own time."""
    for _ in range(seconds):
        until(page, "underWay === 0")
        page.clock.run_for(1000)
    until(page, "underWay === 0")
