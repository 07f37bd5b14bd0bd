"""A walk in Arabic: the pages run from the right, and nothing is left in another language."""

import re
from functools import lru_cache

from playwright.sync_api import expect

from fhir_server.authorization_server.rendering import LANGUAGES, texts
from fhir_server.security.oauth.consent_choice import words_file
from fhir_server.security.roles import roles
from tests.browser.clinic import Clinic
from tests.browser.conftest import NewTab
from tests.browser.tab import Tab

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
# Every text that can be seen or heard, but for parts that say that they are in another language.
_VISIBLE = """() => {
    const found = [document.title], foreign = "[lang]:not([lang=ar])";
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node; (node = walk.nextNode()); ) {
        const element = node.nodeType === 1 ? node : node.parentElement;
        if (element.closest(foreign) || element.closest("script, style, noscript")) continue;
        if (node.nodeType === 3) found.push(node.data);
        else for (const name of ["placeholder", "aria-label", "title", "alt"]) found.push(element.getAttribute(name) ?? "");
    }
    return found.map((text) => text.trim()).filter(Boolean);
}"""


@lru_cache(maxsize=1)
def _known() -> re.Pattern[str]:
    """Every sentence that there is in Arabic: catalogs, words for scopes, titles of roles."""
    words, catalog = words_file(), texts("ar").values()
    column = words["languages"].index("ar")
    rows = [*words["bundles"].values()]
    for group in words["groups"]:
        rows += [group["title"], *group["types"].values()]
    rows += [texts_ for group in words["categories"].values() for _, _, texts_ in group]
    spoken = {str(row[column]) for row in rows} | {role.titles["ar"] for role in roles().values()} | {LANGUAGES["ar"]}
    parts = [re.sub(r"%\\\(\w+\\\)s", ".*", re.escape(each)) for each in {*catalog, *spoken}]
    return re.compile("|".join(sorted(parts, key=len, reverse=True)))


def _check(tab: Tab, data: list[str]) -> None:
    """Nothing on the page but Arabic sentences that are in the catalogs, and `data`."""
    tab.page.wait_for_load_state("load")
    root = tab.page.locator("html")
    expect(root).to_have_attribute("lang", "ar")
    expect(root).to_have_attribute("dir", "rtl")
    for text in tab.page.evaluate(_VISIBLE):
        rest = text
        for each in data:
            rest = rest.replace(each, "")
        rest = re.sub(r"[\u2066-\u2069]|UTC|(http://)?localhost:\d+", "", rest)
        assert not _LATIN.search(rest.replace("QR", "")), f"{tab.page.url}: {text!r}"
        assert not re.search(r"[\u0621-\u064a]", _known().sub("", rest)), f"{tab.page.url}: {text!r} is in no catalog"


def test_an_app_is_let_in(new_tab: NewTab, clinic: Clinic) -> None:
    # ui_locales; the browser itself speaks French
    data = ["أمينة بنعلي", "عمر العلمي", "Leila", "leila@clinic.example", clinic.tenant.slug, "Tension diary", "زيارة"]
    tab = new_tab(locale="fr-FR")
    tab.open_app(extra="ui_locales=ar")
    _check(tab, data)
    tab.expect_status(403)
    tab.sign_in("leila@clinic.example", "wrong")
    _check(tab, data)
    tab.sign_in("leila@clinic.example")
    _check(tab, data)
    tab.page.fill("[name=q]", "لا أحد")
    tab.page.click("[role=search] button")
    _check(tab, data)
    tab.page.fill("[name=q]", "العلمي")
    tab.page.click("[role=search] button")
    _check(tab, data)
    tab.page.click("button[name=patient]")
    tab.page.click(".narrower summary")
    _check(tab, data)
    tab.decide()
    tab.expect_app()
    assert tab.observations == ["Créatinine"]


def test_the_other_pages(new_tab: NewTab, clinic: Clinic) -> None:
    data = ["أمينة بنعلي", "Leila", "leila@clinic.example", clinic.tenant.slug, "Ward board", "Tension diary", "Chrome · Linux", "زيارة"]
    tab = new_tab(locale="ar")
    tab.page.goto(clinic.at("login"))
    tab.sign_in("leila@clinic.example")
    tab.page.wait_for_url("**/account*")
    launch = f"launch?patient={clinic.ids['amina']}"
    for page in ("account", "account/password", "account/email", "account/totp", "logout", launch, "launch?patient=none"):
        tab.expect_status(404)
        tab.page.goto(clinic.at(page))
        _check(tab, [*data, *tab.page.locator(".key").all_text_contents()])
    tab.expect_status(400)
    tab.page.goto(clinic.at("authorize?client_id=nobody"))
    _check(tab, data)
    tab.page.goto(clinic.at("reset"))
    _check(tab, data)
