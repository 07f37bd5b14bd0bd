"""The pages in a real browser: passkeys, widths, languages, content policy, hostile names."""

import itertools
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

from fhir_server.app import app
from fhir_server.security import accounts, codes
from tests.signin.conftest import PASSWORD, Clinic

# Looked at by people: SALAM_SHOTS=/tmp/shots keeps a picture of every page.
_SHOTS = os.environ.get("SALAM_SHOTS", "")
_CHROMIUM = "/usr/bin/chromium"
_UNLABELLED = (
    "[...document.querySelectorAll('input:not([type=hidden]),select')].filter(e => !e.labels.length).map(e => e.name)"
)
_SMALL = (
    "[...document.querySelectorAll('button,.button')].filter(e => e.offsetParent && e.offsetHeight < 40)"
    ".map(e => e.innerText)"
)

pytestmark = pytest.mark.skipif(not Path(_CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The pages on a real port: `http://localhost:PORT` (passkeys work on localhost without TLS)."""
    addresses = itertools.count()

    def from_many(environ: dict[str, Any], start: Any) -> Any:
        # Sign-ins from one address are limited; these come from many.
        environ["REMOTE_ADDR"] = f"198.19.0.{next(addresses) % 250}"
        return app(environ, start)

    server = make_server("127.0.0.1", 0, from_many, threaded=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join(60)
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One headless Chromium."""
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile."""
    made = chromium.new_context(locale="fr-FR", viewport={"width": 1280, "height": 800})
    yield made
    made.close()


def _open(context: BrowserContext, complaints: list[str]) -> Page:
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
    return page


def _sign_in(page: Page, root: str, email: str) -> None:
    page.goto(f"{root}/login")
    page.fill("#username", email)
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Se connecter").click()


def test_a_passkey_is_made_and_signs_in(clinic: Clinic, site: str, context: BrowserContext) -> None:
    clinic.person("key-holder")
    root = f"{site}/t/{clinic.tenant.slug}/oauth"
    complaints: list[str] = []
    page = _open(context, complaints)
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    _sign_in(page, root, "key-holder@clinic.example")
    page.fill("#key-name", "Ordinateur du cabinet")
    page.get_by_role("button", name="Ajouter une clé d’accès").click()
    page.wait_for_url("**/account?done=passkey")
    assert page.get_by_text("Ordinateur du cabinet").first.is_visible()
    page.goto(f"{root}/logout")
    page.get_by_role("button", name="Se déconnecter", exact=True).click()
    page.wait_for_url("**/login?done=logout")
    page.get_by_role("button", name="Utiliser une clé d’accès").click()
    page.wait_for_url("**/account")
    assert page.get_by_text("key-holder@clinic.example").first.is_visible()
    assert complaints == []


@pytest.fixture(scope="module")
def world(clinic: Clinic) -> Clinic:
    """People in every state that a page is for."""
    for name in ("fr", "en", "es", "ar"):
        person = clinic.person(f"walker-{name}", name="Dr Salma Benjelloun-El Idrissi", fhir_user="Practitioner/1")
        clinic.app(person, scope="user/Patient.rs user/Observation.cruds user/MedicationRequest.rs offline_access")
        clinic.person(f"unproved-{name}", verified=False)
    return clinic


@dataclass
class Walk:
    """A person who looks at every page in one language and one width."""

    clinic: Clinic
    page: Page
    root: str
    language: str
    width: int
    complaints: list[str]

    def look(self, name: str, allowed: str = "") -> None:
        """Judge the page that is open. `allowed`: what the browser may complain about."""
        page = self.page
        assert page.evaluate("document.documentElement.scrollWidth") <= self.width, f"{name} is wider than the screen"
        assert page.get_attribute("html", "dir") == ("rtl" if self.language == "ar" else "ltr")
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
        assert page.evaluate(_UNLABELLED) == [], f"{name}: fields without a label"
        assert page.evaluate(_SMALL) == [], f"{name}: buttons too small for a finger"
        if _SHOTS:
            page.screenshot(path=f"{_SHOTS}/{name}-{self.language}-{self.width}.png", full_page=True)
        assert [text for text in self.complaints if not (allowed and allowed in text)] == [], name
        self.complaints.clear()

    def go(self, path: str, name: str, allowed: str = "") -> None:
        """Open a page and judge it."""
        self.page.goto(f"{self.root}/{path}")
        self.look(name, allowed)

    def send(self, **fields: str) -> None:
        """Fill in fields and press the main button."""
        for name, value in fields.items():
            self.page.fill(f"#{name}", value)
        with self.page.expect_navigation():
            self.page.click("form button.primary")

    def signing_in(self) -> None:
        """The sign-in page, a mistake, and in."""
        self.go("login", "login")
        self.send(username=f"walker-{self.language}@clinic.example", password="not the right one")
        self.look("login-failed", "403")
        assert self.page.evaluate("document.activeElement.id") == "errors", "the summary of errors has the focus"
        self.send(password=PASSWORD)
        self.page.wait_for_url("**/account")

    def account(self) -> None:
        """The account page and those behind it."""
        for path in ("account", "account/password", "account/email", "logout", "account/totp"):
            self.go(path, path.replace("/", "-"))

    def second_factor(self) -> None:
        """Turns the authenticator app on and is asked for it."""
        secret = re.sub(r"\s", "", self.page.locator(".key").text_content() or "")
        self.page.click("summary")
        self.look("account-totp")
        self.send(code=pyotp.TOTP(secret).now())
        self.look("recovery-codes")
        self.page.click("a.primary")
        self.page.wait_for_url("**/account")
        self.look("account-full")
        self.page.goto(f"{self.root}/login?fresh=1")
        self.send(password=PASSWORD)
        self.page.wait_for_url("**/second-factor*")
        self.look("second-factor")

    def others(self) -> None:
        """Pages for those who are not signed in."""
        self.page.context.clear_cookies()
        self.page.goto(f"{self.root}/login")
        self.send(username=f"unproved-{self.language}@clinic.example", password=PASSWORD)
        self.page.wait_for_url("**/email-code*")
        self.look("email-code")
        self.go("reset", "reset")
        self.send(username=f"walker-{self.language}-{self.width}@clinic.example")
        self.look("reset-code")
        db = self.clinic.enter()
        email = f"invited-{self.language}-{self.width}@clinic.example"
        made = accounts.create(db, self.clinic.tenant.id, email=email, role="nurse")
        token = codes.invite(db, self.clinic.tenant.id, made.id)
        db.commit()
        self.go(f"invitation?token={token}", "invitation")
        self.go("invitation?token=x", "problem", "404")


@pytest.mark.parametrize("language", ["fr", "en", "es", "ar"])
@pytest.mark.parametrize("width", [320, 1280])
def test_pages_fit_and_complain_about_nothing(
    world: Clinic, site: str, chromium: Browser, language: str, width: int
) -> None:  # smart-39
    context = chromium.new_context(
        locale=language, viewport={"width": width, "height": 800},
        color_scheme="dark" if width == 320 and language in ("en", "ar") else "light",
        extra_http_headers={"Accept-Language": language},
    )  # fmt: skip
    complaints: list[str] = []
    root = f"{site}/t/{world.tenant.slug}/oauth"
    walk = Walk(world, _open(context, complaints), root, language, width, complaints)
    walk.signing_in()
    walk.account()
    if width == 1280:
        walk.second_factor()
    walk.others()
    context.close()


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "{{7*7}}", "%(clinic)s %s",
        "javascript:alert(1)", "</title><script>alert(1)</script>", "‮gnp.exe", "<iframe srcdoc='<script>alert(1)</script>'>",
    ],
)  # fmt: skip
def test_names_are_only_ever_text(clinic: Clinic, site: str, context: BrowserContext, name: str) -> None:  # sec-T22
    who = f"xss-{abs(hash(name))}"
    clinic.person(who, name=name)
    complaints: list[str] = []
    page = _open(context, complaints)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    root = f"{site}/t/{clinic.tenant.slug}/oauth"
    _sign_in(page, root, f"{who}@clinic.example")
    page.wait_for_url("**/account")
    assert page.input_value("#name") == name
    assert complaints == []
    assert all(url.startswith((root, "data:")) for url in requests), "nothing from elsewhere"
