"""The demo clinic with somebody signed in: at the pages themselves, and in a real browser."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask import Response
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright
from werkzeug.test import Client as Browserless

from fhir_server.app import app
from fhir_server.cli import demo as demo_tenant
from fhir_server.rest.dispatch import session
from fhir_server.security import web_sessions
from fhir_server.settings import ROOT, settings
from fhir_server.storage import accounts, tenants
from fhir_server.supervisor import programs
from fhir_server.supervisor.process import die_with_parent
from tests.client import Client

_PATIENTS = 120
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_CHROMIUM = ["--disable-dev-shm-usage", "--no-sandbox", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", "--no-first-run"]  # fmt: skip
_TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation",
    (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));"""
# How long to wait for what must come, in milliseconds: a busy machine is no fault of the page.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}


@dataclass(slots=True)
class Person:
    """Somebody at the pages, without JavaScript. `csrf`: the token of their forms."""

    slug: str
    http: Browserless
    csrf: str = ""

    @property
    def base(self) -> str:
        """Where the pages are."""
        return f"/t/{self.slug}/ui"

    def get(self, path: str, *, htmx: bool = False, lang: str = "fr", **headers: str) -> Any:
        """A page; `path` is below `/t/{slug}/ui/`, or begins with a slash."""
        given = {"Accept-Language": lang, **({"HX-Request": "true"} if htmx else {}), **headers}
        return self.http.get(self._url(path), headers=given)

    def post(self, path: str, form: dict[str, Any] | None = None, *, htmx: bool = False, lang: str = "fr", csrf: bool = True) -> Any:
        """A form. `csrf`: with its token."""
        given = {"Accept-Language": lang, **({"HX-Request": "true"} if htmx else {})}
        if csrf:
            given["X-CSRF"] = self.csrf
        return self.http.post(self._url(path), data=form or {}, headers=given)

    def _url(self, path: str) -> str:
        return path if path.startswith("/") else f"{self.base}/{path}"


def session_of(slug: str, email: str) -> str:
    """A new browser session of an account, as signing in makes it: the value of its cookie."""
    db = session()
    tenant = tenants.find(db, slug)
    db.enter(tenant.tenant.id, None, tenant.registry_version, writing=True)
    account = accounts.by_email(db, tenant.tenant.id, email)
    assert account is not None, email
    made = web_sessions.start(db, tenant.tenant.id, account.id, amr=["pwd"], agent="tests")
    db.commit()
    return made


@dataclass(slots=True)
class Demo:
    """The demo clinic. `base`: of the pages on the live server, when there is one."""

    slug: str
    people: dict[str, str]
    origin: str = ""

    @property
    def base(self) -> str:
        """Where the pages are."""
        return f"{self.origin}/t/{self.slug}/ui"

    def client(self, scope: str = "system/*.cruds operator") -> Client:
        """A FHIR client that may do everything, for arranging and looking."""
        from fhir_server.cli.token import new_token

        return Client(self.slug, str(new_token(self.slug, scope, 60, "tests")["access_token"]))

    def person(self, role: str = "", email: str = "") -> Person:
        """Somebody who is signed in with the role; a visitor without one."""
        http = Browserless(app, Response, use_cookies=True)
        if not role and not email:
            return Person(self.slug, http)
        cookie = session_of(self.slug, email or self.people[role])
        http.set_cookie(f"salam-{self.slug}", cookie, domain="localhost")
        return Person(self.slug, http, web_sessions.csrf_token(cookie))

    def sign_in(self, page: Page, role: str = "", email: str = "") -> None:
        """Sign somebody in at a browser."""
        cookie = session_of(self.slug, email or self.people[role])
        page.context.add_cookies([{"name": f"salam-{self.slug}", "value": cookie, "url": self.origin}])


_clinics: dict[str, Demo] = {}


@pytest.fixture(scope="module")
def clinic(request: pytest.FixtureRequest) -> Demo:
    """The demo clinic of a room's tests in this process, without a live server: what one room changes is not the next
    one's business."""
    room = request.path.parent.name
    if room not in _clinics:
        slug = f"demo-{room}-{os.getpid()}"
        demo_tenant.make(slug, _PATIENTS)
        _clinics[room] = Demo(slug, {each["role"]: each["email"] for each in demo_tenant.people_of(slug)})
    return _clinics[room]


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a process listens there."""
    deadline = time.monotonic() + 180
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        alive = process.poll() is None and time.monotonic() < deadline
        assert alive, f"the event hub did not start:\n{log.read_text()[-2000:]}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def live_hub(live_server: str, live_hub_port: int) -> Iterator[None]:
    """The event hub of the live server."""
    log = Path(settings.data_dir) / "logs" / f"hub-{os.getpid()}.log"
    environment = {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT)}
    before, settings.hub_port = settings.hub_port, live_hub_port
    command = programs.hub_command()
    settings.hub_port = before
    with open(log, "wb") as file:
        hub = subprocess.Popen(
            command, stdout=file, stderr=file, env=environment, start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )  # fmt: skip
    try:
        wait_for_port(live_hub_port, hub, log)
        yield
    finally:
        hub.terminate()
        hub.wait(90)
        with suppress(ProcessLookupError):
            os.killpg(hub.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def demo(clinic: Demo, live_server: str, live_hub: None) -> Demo:
    """The room's clinic on a live server, with its event hub."""
    return Demo(clinic.slug, clinic.people, live_server)


# -- a real browser ----------------------------------------------------------------------------------------------------


def _missing(what: str) -> NoReturn:
    """Without what these tests need they are skipped on somebody's own machine, and fail where all must run."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        _missing("chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=_CHROMIUM)
        yield launched
        launched.close()


@dataclass
class Watched:
    """Pages in which nothing may go wrong unseen. `faults`: errors of the console and of scripts, what the policy
    blocked, answers of 5xx. `let`: texts in messages that a test means to cause."""

    contexts: list[BrowserContext] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    let: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Note what goes wrong on the page."""
        page.on("console", lambda message: self._heard(message))
        page.on("pageerror", lambda error: self._fault(f"script: {error}"))
        page.on("response", lambda answer: self._fault(f"{answer.status} {answer.url}") if answer.status >= 500 else None)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._fault(f"console: {message.text} ({message.location.get('url')})")

    def _fault(self, text: str) -> None:
        if not any(each in text for each in self.let):
            self.faults.append(text)


@pytest.fixture
def watched() -> Iterator[Watched]:
    """What watches the pages of a test, which fails if anything went wrong in one."""
    found = Watched()
    yield found
    for context in found.contexts:
        context.close()
    assert found.faults == []


@pytest.fixture
def browser_page(browser: Browser, watched: Watched) -> Callable[..., Page]:
    """Opens pages, each in a browser profile of its own: `lang`, `phone`, `dark`; the rest is for `new_context`."""

    def new(lang: str = "fr", *, phone: bool = False, dark: bool = False, **given: Any) -> Page:
        context = browser.new_context(
            **{"locale": lang, "viewport": PHONE if phone else DESKTOP, "has_touch": phone,
               "color_scheme": "dark" if dark else "light", **given}
        )  # fmt: skip
        context.set_default_timeout(PATIENCE)
        context.add_init_script(_TELL_VIOLATIONS)
        watched.contexts.append(context)
        page = context.new_page()
        watched.watch(page)
        return page

    return new


# Of what it could load before, only what its rules look at.
_AXE = """async only => (await axe.run(document, {runOnly: only, resultTypes: ["violations"], preload: {assets: ["media"]}}))
    .violations.filter(v => ["serious", "critical"].includes(v.impact))
    .map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.target.join(" ") + " " + n.html.slice(0, 120)).join(" | ")}`)"""
_EVERYTHING = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


@pytest.fixture(scope="session")
def axe() -> Callable[..., list[str]]:
    """What axe finds serious or critical on a page, a line each. WCAG 2.2 A and AA. `colours`: only what depends on them,
    for a page that was looked at in other colours already."""
    source = (ROOT / "ui" / "static" / "vendor" / "axe.min.js").read_text(encoding="utf-8")

    def check(page: Page, *, colours: bool = False) -> list[str]:
        if not page.evaluate("'axe' in window"):
            page.evaluate(source)
        found: list[str] = page.evaluate(_AXE, _COLOURS if colours else _EVERYTHING)
        # axe leaves empty style attributes behind, which htmx would carry on and the policy refuse.
        page.evaluate("document.querySelectorAll('[style=\"\"]').forEach(each => each.removeAttribute('style'))")
        return found

    return check


def until(page: Page, expression: str, seconds: float = PATIENCE / 1000) -> None:
    """Wait until an expression is true on the page. (Playwright's own way evaluates text, which the policy forbids.)"""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def at_rest(page: Page) -> None:
    """Wait until what the page asks for when it is loaded stands in its place."""
    page.wait_for_load_state("load")
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    until(page, "document.querySelector('.htmx-request') === null")


def offered(page: Page, action: str = ".toast-action") -> Locator:
    """The button of the message that is shown now. The mouse is on it, so that the message stays."""
    found = page.locator(action)
    found.hover()
    return found


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"))
