"""What all pages share: headers, cookies, languages, texts, colours."""

import ast
import re
from pathlib import Path

import pytest
from jinja2 import Environment

from fhir_server.authorization_server import account, app_words, browser, credentials, recovery, rendering, signin
from fhir_server.security.oauth.consent_choice import words_file
from tests.signin.conftest import Clinic

_FOLDER = rendering.FOLDER


@pytest.mark.parametrize("path", ["login", "reset", "second-factor", "account", "invitation?token=x", "../../no-such/oauth/login"])
def test_security_headers(clinic: Clinic, path: str) -> None:  # smart-39, smart-40
    page = clinic.browser().get(path, Origin="https://evil.example")
    policy = page.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy
    assert "unsafe" not in policy and "http:" not in policy and "*" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Frame-Options"] == "DENY" and page.headers["X-Content-Type-Options"] == "nosniff"
    assert not [name for name in page.headers.keys() if name.lower().startswith("access-control")]  # noqa: SIM118
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", page.text), "nothing inline"
    assert not re.findall(r"""(?:src|href|action)=["'](?:https?:)?//""", page.text), "nothing from elsewhere"


def test_cookies_over_tls(clinic: Clinic) -> None:  # smart-42
    clinic.person("tls")
    person = clinic.browser(origin="https://clinic.example")
    page = person.get("login?lang=en")
    answer = person.submit(page.form("/login"), username="tls@clinic.example", password="rivage-lampe-ortie-42")
    assert answer.status == 303
    for line in [*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]:
        assert line.startswith("__Host-salam-")
        parts = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts and not any(part.startswith("domain") for part in parts)
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    plain = clinic.browser().get("login")
    assert "Secure" not in plain.headers["Set-Cookie"] and "Strict-Transport-Security" not in plain.headers


def test_static_files_are_cached_and_nothing_else_is_served(clinic: Clinic) -> None:
    css = clinic.browser().get(f"static/{rendering.asset('signin.css')}")
    assert css.status == 200 and css.headers["Content-Type"].startswith("text/css") and "immutable" in css.headers["Cache-Control"]
    assert len(css.text.encode()) <= 12 * 1024
    for bad in ("static/../browser.py", "static/%2e%2e/browser.py", "static/no.css"):
        assert clinic.browser().get(bad).status == 404


def test_hosts_that_are_none(clinic: Clinic) -> None:
    page = clinic.browser().get("login", Host="evil.example/x")
    assert "evil" not in page.text


# -- languages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "accept", "cookie", "expected"),
    [
        ("login", "", "", "fr"),
        ("login", "es-MX,es;q=0.9", "", "es"),
        ("login", "de, ar;q=0.5", "", "ar"),
        ("login", "de", "", "fr"),
        ("login", "es", "en", "en"),
        ("login?lang=ar", "es", "en", "ar"),
        ("login?ui_locales=de%20en-GB", "es", "", "en"),
        ("login?lang=xx", "es", "", "es"),
    ],
)
def test_the_language(clinic: Clinic, path: str, accept: str, cookie: str, expected: str) -> None:
    person = clinic.browser(cookies={"salam-lang": cookie} if cookie else {}, headers={"Accept-Language": accept} if accept else {})
    page = person.get(path)
    assert page.headers["Content-Language"] == page.parsed.attributes["lang"] == expected
    assert page.parsed.attributes["dir"] == ("rtl" if expected == "ar" else "ltr")


def test_the_switch_keeps_where_to_return_to(clinic: Clinic) -> None:
    goal = f"/t/{clinic.tenant.slug}/oauth/authorize?x=1"
    person = clinic.browser()
    page = person.get(browser_url(clinic, goal))
    href = re.search(r'href="([^"]+)" lang="ar"', page.text)
    assert href
    arabic = person.get(href[1].replace("&amp;", "&"))
    assert arabic.parsed.attributes["lang"] == "ar" and "authorize%3Fx%3D1" in arabic.form("/login")["action"]
    assert person.get("reset").parsed.attributes["lang"] == "ar", "remembered"


def browser_url(clinic: Clinic, goal: str) -> str:
    """The sign-in page that leads to a page."""
    from urllib.parse import quote

    return f"login?return_to={quote(goal, safe='')}"


def _template_messages() -> set[str]:
    found: set[str] = set()
    reader = Environment(extensions=["jinja2.ext.i18n"])
    for path in (_FOLDER / "templates").glob("*.html"):
        for _, _, message in reader.extract_translations(path.read_text(), gettext_functions=("_",)):  # type: ignore[attr-defined]
            text = message[0] if isinstance(message, tuple) else message
            found |= {text} if isinstance(text, str) else set()  # not a text: a message of the tables below
    return found


def _letter_messages() -> set[str]:
    found = set()
    for path in Path(_FOLDER).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in ("translate", "tell", "send_notice", "queue_notice"):
                found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str) and " " in a.value}
    return found


def _table_messages() -> set[str]:
    tables = (signin.PROBLEMS, signin.DONE, account.DONE, recovery.WEAK, app_words.LINES)
    return {text for table in tables for text in table.values()} | {credentials.PRESENT, credentials.NO_EMAIL, "A recovery code was used to sign in."}


@pytest.mark.parametrize("language", list(rendering.LANGUAGES))
def test_every_text_is_in_every_language(language: str) -> None:
    known = rendering.texts(language)
    wanted = _template_messages() | _letter_messages() | _table_messages()
    assert len(wanted) > 100
    assert sorted(wanted - set(known)) == []


@pytest.mark.parametrize("language", list(rendering.LANGUAGES))
def test_translations_keep_the_marks(language: str) -> None:
    for message, text in rendering.texts(language).items():
        assert sorted(re.findall(r"%\(\w+\)s", message)) == sorted(re.findall(r"%\(\w+\)s", text)), message
        if language == "ar" and message not in (", ", "; "):
            assert re.search(r"[\u0600-\u06ff]|%\(", text), message


def test_french_is_set_as_the_french_set_it() -> None:
    """Never a line that begins with a colon; one kind of apostrophe."""
    scopes = words_file()
    column = scopes["languages"].index("fr")
    found = list(rendering.texts("fr").values())
    for group in scopes["groups"]:
        found += [texts[column] for texts in (group["title"], *group["types"].values())]
    found += [texts[column] for texts in scopes["bundles"].values()]
    found += [texts[column] for rows in scopes["categories"].values() for _, _, texts in rows]
    assert len(found) > 300
    assert [text for text in found if re.search(r"'| [:;?!»]|« |\w[;?!]", text)] == []


# -- colours -----------------------------------------------------------------------------------------------------------

_PAIRS = [("ink", "ground"), ("ink", "panel"), ("soft", "panel"), ("soft", "ground"), ("accent-ink", "accent"), ("bad", "panel"),
          ("ink", "bad-soft"), ("ink", "accent-soft"), ("link", "panel"), ("link", "ground")]  # fmt: skip


def _luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(c * 2 for c in colour)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), _PAIRS)
def test_contrast_is_aa(scheme: int, front: str, back: str) -> None:
    css = (_FOLDER / "static" / "signin.css").read_text()
    block = re.findall(r":root \{(.*?)\}", css, re.S)[scheme]
    colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{3,6});", block))
    high, low = sorted((_luminance(colours[front]), _luminance(colours[back])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_page_never_quotes_what_came_in(clinic: Clinic) -> None:
    person = clinic.browser()
    page = person.submit(person.get("login").form("/login"), username='"><script>x</script>', password="p" * 20)
    assert "<script>x" not in page.text
    assert browser.safe_return(clinic.tenant.slug, "x") == f"/t/{clinic.tenant.slug}/oauth/account"
