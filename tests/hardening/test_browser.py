"""What a real browser makes of hostile content that the server holds (security-reliability.md T22, sec-32).

Every document is opened with a token, as if a person followed a link to it. Nothing of it may run or call anybody.
"""

import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Browser, Dialog, sync_playwright
from playwright.sync_api import Error as BrowserError

from tests.client import Client

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield launched
        launched.close()


ATTACK = "alert(1);fetch('http://CANARY/');document.title='owned'"
DOCUMENTS = [
    ("text/html", f"<script>{ATTACK}</script><img src=x onerror=\"{ATTACK}\"><iframe src='javascript:{ATTACK}'></iframe>"),
    ("image/svg+xml", f'<svg xmlns="http://www.w3.org/2000/svg" onload="{ATTACK}"><script>{ATTACK}</script></svg>'),
    ("application/xhtml+xml", f'<html xmlns="http://www.w3.org/1999/xhtml"><body><script>{ATTACK}</script></body></html>'),
    ("text/xml", '<?xml-stylesheet type="text/xsl" href="http://CANARY/x.xsl"?><x/>'),
    ("text/plain", f"<html><script>{ATTACK}</script></html>"),
    ("image/png", f"<html><script>{ATTACK}</script></html>"),
    ("application/octet-stream", f"<html><script>{ATTACK}</script></html>"),
    ("application/pdf", f"%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript/JS({ATTACK})>>>>endobj"),
    ("multipart/related", f"--x\r\nContent-Type: text/html\r\n\r\n<script>{ATTACK}</script>"),
]


@pytest.fixture(scope="module")
def paths(client: Client, listener: str) -> dict[str, str]:
    found = {}
    for kind, text in DOCUMENTS:
        data = b64encode(text.replace("CANARY", listener).encode()).decode()
        found[kind] = f"Binary/{client.create({'resourceType': 'Binary', 'contentType': kind, 'data': data})['id']}"
    name = f"<img src=x onerror=\"{ATTACK.replace('CANARY', listener)}\">"
    found["resource"] = f"Patient/{client.create({'resourceType': 'Patient', 'name': [{'text': name}]})['id']}"
    found["error"] = "Patient?<script>alert(1)</script>=1"
    found["unknown"] = "<script>alert(1)</script>"
    return found


# sec-T22, sec-T23, sec-32
@pytest.mark.parametrize("kind", [*(kind for kind, _ in DOCUMENTS), "resource", "error", "unknown"])
def test_nothing_runs(browser: Browser, live_server: str, client: Client, paths: dict[str, str], kind: str) -> None:
    context = browser.new_context(extra_http_headers={"Authorization": f"Bearer {client.token}"})
    page = context.new_page()
    dialogs: list[str] = []
    requests: list[str] = []

    def met(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", met)
    page.on("request", lambda request: requests.append(request.url))
    # A document that the browser saves instead of showing ends the navigation with an error.
    with suppress(BrowserError):
        page.goto(f"{live_server}/t/{client.slug}/fhir/{paths[kind]}", timeout=60_000)
    page.wait_for_timeout(150)
    assert dialogs == []
    assert page.title() != "owned"
    assert all(url.startswith((live_server, "about:", "data:", "chrome")) for url in requests), requests
    context.close()
