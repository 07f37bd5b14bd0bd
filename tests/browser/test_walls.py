"""What a browser must not let happen on our pages, and proof that these tests would notice."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import EHR_SCOPE, Clinic
from tests.browser.tab import Tab


def _blocked(tab: Tab, said: str) -> None:
    """Wait until the page says that its policy blocked something; it may say so several times, in several words."""
    for _ in range(600):
        if any(said in each for each in tab.faults):
            break
        tab.page.wait_for_timeout(100)
    assert any(said in each for each in tab.faults), tab.faults
    tab.let_pass(said.removeprefix("policy: "))


def test_a_script_that_got_into_a_page_does_not_run(tab: Tab, clinic: Clinic) -> None:
    # The known-bad row of Tab: what the policy blocks is a fault.
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    expect(tab.page.locator("[name=decision]")).to_have_count(2)
    tab.page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
    }""")
    assert tab.page.evaluate("window.ran") is None
    _blocked(tab, "policy: script-src")
    # Nor does a form lead elsewhere than to us and to the app.
    send = "(url) => { const form = document.querySelector('form.consent'); form.action = url; form.submit(); }"
    tab.page.evaluate(send, "https://elsewhere.example/")
    _blocked(tab, "policy: form-action")
    assert tab.page.url.startswith(clinic.at("authorize"))


@pytest.mark.parametrize("page", ["login", "authorize?client_id=diary", "account"])
def test_no_page_of_ours_can_be_framed(tab: Tab, clinic: Clinic, page: str) -> None:
    # smart-39: nobody presses our "Allow" through another page
    tab.expect_status(400)
    tab.page.goto(f"{clinic.app}/index.html")
    with tab.page.expect_event("framenavigated"):
        tab.page.evaluate("(url) => { document.body.innerHTML = `<iframe src='${url}'></iframe>`; }", clinic.at(page))
    _blocked(tab, "frame")
    inner = tab.page.frames[-1]
    assert inner.locator("form").count() == 0


def test_two_windows_sign_in_at_once(tab: Tab, clinic: Clinic) -> None:
    """Two requests in one browser, both at the sign-in form: each app gets its own answer."""
    second = Tab(tab.page.context, clinic)
    tab.open_app()
    expect(tab.page.locator("[name=username]")).to_be_visible()
    second.open_app("board", f"{EHR_SCOPE} launch/patient launch/encounter".removeprefix("launch "))
    second.sign_in("leila@clinic.example")
    second.pick("بنعلي", clinic.ids["amina"])
    second.page.click(f"button[name=encounter][value='{clinic.ids['visit']}']")
    second.decide()
    second.expect_app()
    assert second.token["encounter"] == clinic.ids["visit"]
    tab.page.reload()
    tab.pick("العلمي", clinic.ids["omar"])
    tab.decide()
    tab.expect_app()
    assert tab.token["patient"] == clinic.ids["omar"]
    assert second.faults == []


def test_back_and_again(tab: Tab, clinic: Clinic) -> None:
    """Going back from the app and allowing once more gives a new code, not an error."""
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    expect(tab.page.locator("[name=decision]")).to_have_count(2)
    page = tab.page.url
    for _ in range(2):
        tab.decide()
        tab.expect_app()
        tab.open_app()
    # Not while the app leads on to us: one way leads to a page at a time.
    expect(tab.page.locator("[name=decision]")).to_have_count(2)
    tab.page.wait_for_load_state("load")
    tab.page.goto(page)
    expect(tab.page.locator("h1")).to_contain_text("Tension diary")


def test_the_form_of_a_session_that_ended(tab: Tab, clinic: Clinic) -> None:
    """Signed out in another window, "Allow" leads to the sign-in form, not to a grant."""
    second = Tab(tab.page.context, clinic)
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    expect(tab.page.locator("[name=decision]")).to_have_count(2)
    second.page.goto(clinic.at("logout"))
    second.page.click("button.primary")
    second.page.wait_for_url("**done=logout*")
    tab.expect_status(403)
    tab.decide()
    expect(tab.page.locator("h1")).not_to_contain_text("Tension diary")
    assert tab.page.url.startswith(clinic.server)
