"""The pages in a real browser, which enforces the Content-Security-Policy: above all `form-action`, to which it holds
the redirects after a form, too.

SALAM_SCREENSHOTS=FOLDER keeps pictures of the pages.
"""

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.authorize.conftest import PASSWORD, Clinic

_SHOTS = os.environ.get("SALAM_SCREENSHOTS", "")


class _App(BaseHTTPRequestHandler):
    """The app's own web server: shows that the browser arrived."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>arrived</h1>")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _AppV6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture(scope="module")
def origins(live_server: str) -> Iterator[tuple[str, str]]:
    """The server's origin and the app's."""
    theirs = ThreadingHTTPServer(("127.0.0.1", 0), _App)
    threading.Thread(target=theirs.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield live_server, f"http://127.0.0.1:{theirs.server_port}"
    theirs.shutdown()
    theirs.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def app_id(clinic: Clinic, origins: tuple[str, str]) -> str:
    their = origins[1]
    return clinic.app(application_type="native", redirect_uris=[f"{their}/cb"], launch_url=f"{their}/launch", contacts=["aide@app.example"])


def tab(chromium: Browser, width: int = 1280, **options: Any) -> tuple[Page, list[str]]:
    """A fresh tab and what its console complains about."""
    page = chromium.new_context(viewport={"width": width, "height": 900}, **options).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return page, said


def url(clinic: Clinic, origins: tuple[str, str], app_id: str, **changed: str) -> str:
    ours, theirs = origins
    asked = clinic.asked(client_id=app_id, redirect_uri=f"{theirs}/cb", aud=f"{ours}/t/{clinic.tenant.slug}/fhir", **changed)
    return f"{ours}/t/{clinic.tenant.slug}/oauth/authorize?{urlencode(asked)}"


def shot(page: Page, name: str) -> None:
    if _SHOTS:
        page.screenshot(path=f"{_SHOTS}/{name}.png", full_page=True)


def fits(page: Page) -> None:
    """Nothing sticks out of the window sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def sign_in(page: Page, email: str) -> None:
    page.fill("#username", email)
    page.fill("#password", PASSWORD)
    page.click("button.primary[type=submit]")


@pytest.mark.parametrize(("language", "width"), [("fr", 1280), ("ar", 360), ("en", 800), ("es", 360)])
def test_doctor_signs_in_picks_a_patient_and_allows(
    clinic: Clinic, origins: tuple[str, str], chromium: Browser, app_id: str, language: str, width: int
) -> None:
    # smart-25, smart-39, smart-41, smart-43, smart-156
    page, said = tab(chromium, width)
    scope = "launch/patient openid fhirUser offline_access patient/*.rs patient/Observation.cruds user/Appointment.rs"
    page.goto(url(clinic, origins, app_id, scope=scope, ui_locales=language))
    assert page.get_attribute("html", "lang") == language
    sign_in(page, clinic.people["practitioner"])
    page.wait_for_selector("#q")
    assert page.get_attribute("html", "dir") == ("rtl" if language == "ar" else "ltr")
    page.fill("#q", "Benali")
    page.click("form[role=search] button")
    page.wait_for_selector("button.pick")
    fits(page)
    shot(page, f"picker-{language}-{width}")
    page.click("button.pick >> nth=0")
    page.wait_for_selector("form.consent")
    fits(page)
    shot(page, f"consent-{language}-{width}")
    # A group is unticked as a whole; then one category of the results.
    page.locator("details.group summary input").nth(1).uncheck()
    page.locator("details.group", has=page.locator('[value="patient.see.Observation"]')).locator("summary").first.click()
    page.locator("details.narrower summary").nth(1).click()
    page.locator('[name="category patient.see.Observation"]').nth(1).uncheck()
    fits(page)
    shot(page, f"consent-open-{language}-{width}")
    page.click("button[value=allow]")
    page.wait_for_selector("text=arrived")
    answer = parse_qs(urlsplit(page.url).query)
    assert answer["code"] and answer["state"] == ["s 1"]
    granted = clinic.grant()["scope"].split()
    assert "patient/Condition.rs" not in granted and "patient/AllergyIntolerance.rs" not in granted
    assert "patient/Observation.rs" not in granted and "patient/Immunization.rs" in granted
    assert any("laboratory" in each for each in granted) and not any("vital-signs" in each for each in granted)
    assert not said, said


def test_patient_denies(clinic: Clinic, origins: tuple[str, str], chromium: Browser, app_id: str) -> None:
    # smart-44
    page, said = tab(chromium, 360)
    page.goto(url(clinic, origins, app_id, scope="launch/patient openid patient/Patient.rs patient/Condition.rs patient/Observation.rs"))
    sign_in(page, clinic.people["patient"])
    page.wait_for_selector("form.consent")
    shot(page, "consent-small-fr-360")
    page.click("button[value=deny]")
    page.wait_for_selector("text=arrived")
    assert parse_qs(urlsplit(page.url).query)["error"] == ["access_denied"]
    assert not said, said


def test_works_without_scripts(clinic: Clinic, origins: tuple[str, str], chromium: Browser, app_id: str) -> None:
    page, _ = tab(chromium, java_script_enabled=False)
    page.goto(url(clinic, origins, app_id, scope="openid patient/*.rs"))
    sign_in(page, clinic.people["patient"])
    page.locator("details.group summary").nth(1).click()
    page.locator('[value="patient.see.Condition"][name=allow]').uncheck()
    page.click("button[value=allow]")
    assert "/cb?code=" in page.url
    assert "patient/Condition.rs" not in clinic.grant()["scope"].split()


def test_browser_reaches_an_app_at_an_ipv6_address(clinic: Clinic, live_server: str, chromium: Browser) -> None:
    # smart-31
    theirs = _AppV6(("::1", 0), _App)
    threading.Thread(target=theirs.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    place = f"http://[::1]:{theirs.server_port}"
    native = clinic.app(application_type="native", redirect_uris=["http://[::1]/cb"])
    page, said = tab(chromium)
    page.goto(url(clinic, (live_server, place), native, scope="openid patient/Patient.rs"))
    sign_in(page, clinic.people["patient"])
    page.click("button[value=allow]")
    page.wait_for_selector("text=arrived")
    assert page.url.startswith(f"{place}/cb?code=") and not said, said
    theirs.shutdown()
    theirs.server_close()


def test_app_is_opened_from_the_record(clinic: Clinic, origins: tuple[str, str], chromium: Browser, app_id: str) -> None:
    # smart-54, smart-55: the browser follows the redirect of the launch form to the app
    page, said = tab(chromium)
    ours, theirs = origins
    page.goto(f"{ours}/t/{clinic.tenant.slug}/oauth/launch?patient={clinic.patients['amina']}")
    sign_in(page, clinic.people["practitioner"])
    page.wait_for_selector("button.pick")
    shot(page, "launch-fr")
    page.locator(f"button[value='{app_id}']").click()
    page.wait_for_selector("text=arrived")
    assert page.url.startswith(f"{theirs}/launch?iss=")
    assert not said, said


def test_error_page(clinic: Clinic, origins: tuple[str, str], chromium: Browser) -> None:
    page, _ = tab(chromium, 360)
    page.goto(url(clinic, origins, "nobody", ui_locales="ar"))
    fits(page)
    shot(page, "error-ar")


def test_lengths_on_the_real_server(clinic: Clinic, live_server: str) -> None:
    # smart-37
    import httpx

    endpoint = f"{live_server}/t/{clinic.tenant.slug}/oauth/authorize"
    asked = clinic.asked(aud=f"{live_server}/t/{clinic.tenant.slug}/fhir")
    assert httpx.get(endpoint, params={**asked, "more": "x" * 30_000}).status_code in (414, 431)
    answer = httpx.post(endpoint, data={**asked, "more": "x" * 33_000, "state": "s" * 4000}, follow_redirects=True)
    assert answer.status_code == 200 and 'name="username"' in answer.text
    assert httpx.post(endpoint, data={**asked, "more": "x" * 400_000}).status_code == 413
