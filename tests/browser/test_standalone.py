"""An app opened by itself: sign-in, picker, consent, the record, refreshing; with the library that most apps use."""

import pytest
from playwright.sync_api import expect

from tests.browser.clinic import PATIENT_SCOPE, Clinic
from tests.browser.conftest import NewTab
from tests.browser.tab import Tab


@pytest.mark.parametrize("extra", [None, "post"])
def test_a_patient_opens_an_app(tab: Tab, clinic: Clinic, extra: str | None) -> None:
    # smart-25, smart-26, smart-46, smart-62, smart-63 (public client), smart-68, smart-156
    tab.open_app(extra=extra)
    tab.sign_in("amina@clinic.example")
    expect(tab.page.locator(".banner")).to_contain_text("أمينة")
    tab.decide()
    tab.expect_app()
    assert tab.page.inner_text("#banner") == "أمينة بنعلي"
    assert tab.observations == ["Hémoglobine", "Tension"]
    token = tab.token
    assert token["patient"] == clinic.ids["amina"]
    assert token["token_type"] == "Bearer"
    assert set(token["scope"].split()) == set(PATIENT_SCOPE.split())
    assert "encounter" not in token
    assert tab.ask("client.user.fhirUser").endswith(f"Patient/{clinic.ids['amina']}")
    tab.expect_status(404)
    assert tab.request(f"Patient/{clinic.ids['omar']}") in (403, 404)
    assert tab.request(f"Observation?patient={clinic.ids['omar']}")["total"] == 0


def test_a_practitioner_picks_a_patient(tab: Tab, clinic: Clinic) -> None:
    # smart-97, smart-156
    tab.open_app()
    tab.sign_in("leila@clinic.example")
    tab.pick("العلمي", clinic.ids["omar"])
    tab.decide()
    tab.expect_app()
    assert tab.token["patient"] == clinic.ids["omar"]
    assert tab.observations == ["Créatinine"]
    assert tab.ask("client.user.fhirUser").endswith(f"Practitioner/{clinic.ids['doctor']}")


def test_who_is_signed_in_needs_no_password_again(tab: Tab) -> None:
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    tab.decide()
    tab.expect_app()
    tab.open_app()
    tab.decide()
    tab.expect_app()


def test_the_library_refreshes(tab: Tab) -> None:
    # smart-107, smart-110, smart-157
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    tab.decide()
    tab.expect_app()
    first = tab.token
    second = tab.ask("(await client.refresh()).tokenResponse")
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["patient"] == first["patient"]
    assert set(second["scope"].split()) == set(first["scope"].split())
    # When the token is about to end, the library renews it by itself.
    tab.ask("(client.state.expiresAt = 1)")
    assert tab.request(f"Patient/{first['patient']}")["id"] == first["patient"]
    third = tab.ask("client.state.tokenResponse")
    assert third["access_token"] not in (first["access_token"], second["access_token"])


def test_a_user_who_says_no(tab: Tab) -> None:
    # smart-44
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    tab.decide("deny")
    tab.expect_app("failed: access_denied")


def test_a_wrong_password_first(tab: Tab) -> None:
    tab.open_app()
    tab.expect_status(403)
    tab.sign_in("amina@clinic.example", "not the password")
    expect(tab.page.get_by_role("alert")).to_contain_text("not right")
    tab.sign_in("amina@clinic.example")
    tab.decide()
    tab.expect_app()


def test_a_type_that_the_user_unticks(tab: Tab, clinic: Clinic) -> None:
    # smart-44, smart-70, smart-133
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    tab.page.uncheck("[name=allow][value='patient.see.Observation']")
    tab.decide()
    tab.expect_status(403)
    tab.expect_app("failed")
    assert "patient/Observation" not in tab.token["scope"]
    assert tab.request(f"Observation?patient={clinic.ids['amina']}") == 403
    assert tab.request(f"Patient/{clinic.ids['amina']}")["id"] == clinic.ids["amina"]


def test_only_laboratory(tab: Tab) -> None:
    # smart-123, smart-146
    tab.open_app()
    tab.sign_in("amina@clinic.example")
    boxes = tab.page.locator("[data-narrows='patient.see.Observation'] input")
    tab.page.click(".narrower summary")
    for box in boxes.all():
        if not str(box.get_attribute("value")).endswith("|laboratory"):
            box.uncheck()
    tab.decide()
    tab.expect_app()
    assert tab.observations == ["Hémoglobine"]
    assert "patient/Observation.rs?category=" in tab.token["scope"]
    assert "Tension" not in str(tab.request("Observation"))


def test_an_app_that_proves_itself_with_a_key(new_tab: NewTab, clinic: Clinic) -> None:
    # smart-63 (asymmetric): ES384, signed by the library in the browser
    tab = new_tab()
    tab.page.goto(f"{clinic.app}/index.html")
    keys = tab.page.evaluate("""async () => {
        const usage = {name: "ECDSA", namedCurve: "P-384"};
        const pair = await crypto.subtle.generateKey(usage, true, ["sign", "verify"]);
        const key = {...await crypto.subtle.exportKey("jwk", pair.privateKey), kid: "k1", alg: "ES384"};
        sessionStorage.setItem("privateKey", JSON.stringify(key));
        return Object.fromEntries(["kty", "crv", "x", "y", "kid", "alg"].map((name) => [name, key[name]]));
    }""")
    clinic.add_app("keyed", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [keys]})
    tab.open_app("keyed")
    tab.sign_in("amina@clinic.example")
    tab.decide()
    tab.expect_app()
    assert tab.observations == ["Hémoglobine", "Tension"]
