"""An app opened from a patient's record: from our launch page, and with a launch that the operator makes."""

from playwright.sync_api import expect

from tests.browser.clinic import EHR_SCOPE, PASSWORD, Clinic
from tests.browser.conftest import NewTab
from tests.browser.tab import Tab

_READ_TOKEN = "({...client.getIdToken()})"


def _launch(tab: Tab, clinic: Clinic, **query: str) -> None:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    tab.page.goto(clinic.at(f"launch?{asked}"))


def test_a_practitioner_opens_an_app_from_the_record(tab: Tab, clinic: Clinic) -> None:
    # smart-54, smart-55, smart-56, smart-61, smart-95, smart-97, smart-98, smart-151, smart-152, smart-154
    _launch(tab, clinic, patient=clinic.ids["amina"], encounter=clinic.ids["visit"])
    tab.sign_in("leila@clinic.example")
    expect(tab.page.locator(".banner")).to_contain_text("أمينة")
    tab.page.get_by_role("button", name="Ward board").click()
    expect(tab.page.locator("h1")).to_contain_text("Ward board")
    tab.decide()
    tab.expect_app()
    assert tab.page.inner_text("#banner") == "أمينة بنعلي"
    token, asked = tab.token, set(EHR_SCOPE.split())
    assert set(token["scope"].split()) == asked
    assert token["patient"] == clinic.ids["amina"]
    assert token["encounter"] == clinic.ids["visit"]
    assert token["need_patient_banner"] is True
    assert token["tenant"]
    assert tab.ask("(await client.encounter.read()).id") == clinic.ids["visit"]
    style = tab.ask("await (await fetch(client.state.tokenResponse.smart_style_url)).json()")
    assert style["color_background"].startswith("#")
    claims = tab.ask(_READ_TOKEN)
    assert claims["fhirUser"].endswith(f"Practitioner/{clinic.ids['doctor']}")
    assert claims["iss"] == clinic.at("").rstrip("/")
    assert claims["aud"] in ("board", ["board"])
    assert tab.ask("(await client.user.read()).resourceType") == "Practitioner"


def test_the_second_time_nothing_is_asked(tab: Tab, clinic: Clinic) -> None:
    for patient, asks in (("omar", True), ("omar", False)):
        _launch(tab, clinic, patient=clinic.ids[patient])
        if asks:
            tab.sign_in("leila@clinic.example")
        tab.page.get_by_role("button", name="Ward board").click()
        if asks:
            tab.decide()
        tab.expect_app()
        assert tab.observations == ["Créatinine"]
        assert "encounter" not in tab.token


def test_what_an_operator_types(new_tab: NewTab, clinic: Clinic) -> None:
    """Client, user and launch made by commands in processes of their own; the launch is good once."""
    # smart-57, smart-154
    url = f"{clinic.app}/launch.html?client_id=typed&scope={EHR_SCOPE.replace(' ', '+')}"
    file = clinic.client_file("typed", client_name="Typed", scope=EHR_SCOPE, launch_url=url)
    assert clinic.type_in("client", "create", file)["client_id"] == "typed"
    user = clinic.type_in(
        "user", "create", "--email", "nurse@clinic.example", "--password", PASSWORD, "--role", "nurse",
        "--resource", f"Practitioner/{clinic.ids['doctor']}", "--name", "Nora",
    )  # fmt: skip
    assert user["role"] == "nurse"
    launch = ("launch", "create", "--client", "typed", "--user", "nurse@clinic.example", "--patient", clinic.ids["omar"])
    made = clinic.type_in(*launch, "--intent", "reconcile-medications")
    tab = new_tab()
    tab.page.goto(made["url"])
    tab.sign_in("nurse@clinic.example")
    tab.decide()
    tab.expect_app()
    assert tab.page.inner_text("#banner") == "عمر العلمي"
    assert tab.token["intent"] == "reconcile-medications"
    tab.page.goto(made["url"])
    tab.expect_app("failed: invalid_request")
    # The next time the password leads straight to the app: redirects after a form, which the policy must let through.
    other = new_tab()
    other.page.goto(clinic.operate(*launch)["url"])
    other.sign_in("nurse@clinic.example")
    other.expect_app()
    assert other.page.inner_text("#banner") == "عمر العلمي"


def test_a_patient_has_no_launch_page(tab: Tab, clinic: Clinic) -> None:
    tab.expect_status(403)
    _launch(tab, clinic, patient=clinic.ids["amina"])
    tab.sign_in("amina@clinic.example")
    expect(tab.page.locator("h1")).to_have_text("The app cannot be opened")
