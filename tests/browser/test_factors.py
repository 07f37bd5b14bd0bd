"""Second factors: an authenticator app, recovery codes, and passkeys with the browser's virtual authenticator."""

import time
from dataclasses import replace

import pyotp
from playwright.sync_api import expect

from tests.browser.clinic import PASSWORD, Clinic
from tests.browser.conftest import NewTab
from tests.browser.tab import Tab


def _into_account(tab: Tab, email: str) -> None:
    tab.page.goto(tab.clinic.at("login"))
    tab.sign_in(email)
    tab.page.wait_for_url("**/account*")


def test_an_authenticator_app(new_tab: NewTab, clinic: Clinic) -> None:
    clinic.add_person("Sami", "practitioner", f"Practitioner/{clinic.ids['doctor']}")
    tab = new_tab()
    _into_account(tab, "sami@clinic.example")
    tab.page.get_by_role("link", name="Set up").click()
    tab.page.click("summary")
    totp = pyotp.TOTP(tab.page.inner_text(".key").replace(" ", ""))
    used = totp.now()
    tab.page.fill("[name=code]", used)
    tab.page.click("button.primary")
    expect(tab.page.locator(".codes li").nth(7)).to_be_visible()
    tab.page.wait_for_load_state("load")
    codes = tab.page.locator(".codes li").all_inner_texts()
    assert len(codes) >= 8
    # The code was used to set it up, so the next one is of the next half minute; a recovery code works now.
    other = new_tab()
    other.open_app()
    other.sign_in("sami@clinic.example")
    expect(other.page.locator("h1")).to_have_text("One more step")
    other.expect_status(403)
    other.page.fill("[name=code]", used)
    other.page.click("button.primary")
    expect(other.page.get_by_role("alert")).to_contain_text("code")
    other.page.fill("[name=code]", totp.at(int(time.time()) + 30))
    other.page.click("button.primary")
    other.pick("العلمي", clinic.ids["omar"])
    other.decide()
    other.expect_app()
    assert set(other.ask("client.getIdToken().amr")) == {"pwd", "otp", "mfa"}
    third = new_tab()
    third.page.goto(clinic.at("login"))
    third.sign_in("sami@clinic.example")
    third.page.click("details > summary")
    third.page.fill("[name=recovery]", codes[0])
    third.page.click("details button")
    third.page.wait_for_url("**/account*")


def test_a_passkey(new_tab: NewTab, clinic: Clinic) -> None:
    # Browsers know passkeys for names only, so the server is called localhost here.
    at = replace(clinic, server=clinic.server.replace("127.0.0.1", "localhost"))
    clinic.add_person("Rim", "practitioner", f"Practitioner/{clinic.ids['doctor']}")
    tab = new_tab(at)
    devices = tab.page.context.new_cdp_session(tab.page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    _into_account(tab, "rim@clinic.example")
    tab.page.fill("#key-name", "my phone")
    tab.page.get_by_role("button", name="Add a passkey").click()
    expect(tab.page.get_by_role("status")).to_have_text("The passkey was added.")
    expect(tab.page.locator("#safety ~ .list")).to_contain_text("my phone")
    tab.page.goto(at.at("logout"))
    tab.page.get_by_role("button", name="Sign out", exact=True).click()
    tab.open_app()
    tab.page.get_by_role("button", name="Use a passkey").click()
    tab.pick("العلمي", clinic.ids["omar"])
    tab.decide()
    tab.expect_app()
    assert tab.observations == ["Créatinine"]
    assert set(tab.ask("client.getIdToken().amr")) == {"pop", "user", "mfa"}
    # With the password alone nobody comes in any more.
    other = new_tab(at)
    other.page.goto(at.at("login"))
    other.sign_in("rim@clinic.example", PASSWORD)
    expect(other.page.get_by_text("Confirm with your passkey")).to_be_visible()
