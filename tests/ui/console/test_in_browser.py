"""The console in a real browser: find, edit, check, save; with the keyboard."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import Demo, at_rest, scrolls_sideways

Opened = Callable[..., Page]


@pytest.mark.parametrize(("lang", "phone"), [("fr", False), ("ar", True)])
def test_search_edit_check_save(demo: Demo, browser_page: Opened, lang: str, phone: bool) -> None:
    made = demo.client().create({"resourceType": "Organization", "active": True, "name": f"Console {lang}"})
    page = browser_page(lang, phone=phone)
    demo.sign_in(page, "owner")
    page.goto(f"{demo.base}/console/")
    page.keyboard.press("/")
    page.keyboard.type("organization")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/console/Organization"))
    page.keyboard.press("/")
    page.keyboard.press("Control+a")
    page.keyboard.type("nam")
    expect(page.locator("#suggestions li").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#q")).to_have_value("name=")
    page.keyboard.type(f"Console {lang}")
    page.keyboard.press("Enter")
    row = page.locator(f"#results a[href$='/Organization/{made['id']}']")
    expect(row).to_be_visible()
    assert f"Console {lang}" not in page.url
    row.click()
    expect(page.locator(".json")).to_contain_text(f"Console {lang}")
    # Keys are heard once the page is loaded.
    page.wait_for_load_state("load")
    page.keyboard.press("e")
    editor = page.locator("#json")
    editor.wait_for()
    page.wait_for_load_state("load")
    wrong = editor.input_value().replace('"active": true', '"active": "perhaps"')
    editor.fill(wrong)
    page.keyboard.press("Control+Enter")
    issue = page.locator(".issues li.error, .issues li.fatal").first
    expect(issue).to_be_visible()
    issue.locator("[data-line]").click()
    assert "perhaps" in page.evaluate("(() => { const a = document.getElementById('json'); return a.value.slice(a.selectionStart, a.selectionEnd); })()")
    editor.fill(wrong.replace('"perhaps"', "false"))
    page.locator("#check").click()
    expect(page.locator("#issues .note-success")).to_be_visible()
    page.locator("form.editor button.btn-accent").click()
    expect(page.locator(".note-success")).to_be_visible()
    assert demo.client().get(f"Organization/{made['id']}").json["active"] is False
    page.wait_for_load_state("load")
    page.keyboard.press("h")
    expect(page.locator(".diff .new")).to_contain_text("false")


@pytest.mark.parametrize(("lang", "phone", "dark"), [("fr", False, False), ("ar", True, True), ("es", False, True)])
def test_every_page_is_usable_by_all(demo: Demo, browser_page: Opened, axe: Callable[[Page], list[str]], lang: str, phone: bool, dark: bool) -> None:
    service = "HealthcareService/demo-consultation"
    page = browser_page(lang, phone=phone, dark=dark)
    demo.sign_in(page, "owner")
    found = []
    for path in ("", "Patient", "Appointment?status=booked", service, f"{service}/_history", f"{service}/edit", "new/Location", "bundle"):
        page.goto(f"{demo.base}/console/{path}")
        at_rest(page)
        found += [f"{path}: {each}" for each in axe(page)]
        if scrolls_sideways(page):
            found.append(f"{path}: scrolls sideways")
        if page.locator("h1").count() != 1:
            found.append(f"{path}: has not one h1")
    assert found == []
