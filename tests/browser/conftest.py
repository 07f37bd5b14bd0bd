"""Headless Chromium, the SMART app's web site and a clinic on the live server."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.browser import site
from tests.browser.clinic import Clinic, fill
from tests.browser.tab import Tab

if TYPE_CHECKING:
    from tests.conftest import TestTenant

NewTab = Callable[..., Tab]
# In milliseconds: a busy machine is no fault of the page.
expect.set_options(timeout=60_000)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def _missing(what: str) -> NoReturn:
    """Without what these tests need they are skipped on somebody's own machine, and fail where all must run."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Package scope: playwright keeps an event loop running, which other tests must not meet."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        _missing("chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--disable-dev-shm-usage"])
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def app() -> Iterator[str]:
    """The SMART app's origin."""
    try:
        folder = site.installed()
    except OSError as error:
        _missing(str(error))
    with site.served(folder) as origin:
        yield origin


@pytest.fixture(scope="module")
def clinic(live_server: str, tenant: "TestTenant", app: str, tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    """The module's clinic."""
    return fill(Clinic(tenant, live_server, app, tmp_path_factory.mktemp("clinic")))


@pytest.fixture
def new_tab(browser: Browser, clinic: Clinic) -> Iterator[NewTab]:
    """Opens tabs, each in a browser profile of its own, and fails the test if anything went wrong in one.

    `at`: the clinic as the browser is to see it; the rest goes to playwright's `new_context`.
    """
    opened: list[tuple[BrowserContext, Tab]] = []

    def new(at: Clinic = clinic, **given: Any) -> Tab:
        context = browser.new_context(**{"locale": "en-GB", **given})
        opened.append((context, Tab(context, at)))
        return opened[-1][1]

    yield new
    for context, _ in opened:
        context.close()
    assert [fault for _, tab in opened for fault in tab.faults] == []


@pytest.fixture
def tab(new_tab: NewTab) -> Tab:
    """One tab."""
    return new_tab()
