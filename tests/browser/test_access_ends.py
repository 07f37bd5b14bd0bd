"""What a person takes back on the account page is gone for the app at once, not when its token ends."""

from collections.abc import Callable

import pytest

from tests.browser.clinic import EHR_SCOPE, PASSWORD, Clinic
from tests.browser.conftest import NewTab
from tests.browser.tab import Tab


def _take_back(clinic: Clinic, tab: Tab) -> None:
    tab.page.goto(clinic.at("account"))
    tab.page.get_by_role("button", name="End access").click()
    tab.page.wait_for_url("**done=app*")


def _sign_out_everywhere(clinic: Clinic, tab: Tab) -> None:
    tab.page.goto(clinic.at("logout"))
    tab.page.get_by_role("button", name="on all devices").click()
    tab.page.wait_for_url("**done=logout*")


def _change_password(clinic: Clinic, tab: Tab) -> None:
    tab.page.goto(clinic.at("account/password"))
    tab.page.fill("[name=current]", PASSWORD)
    tab.page.fill("[name=password]", f"{PASSWORD} too")
    tab.page.click("button.primary")
    tab.page.wait_for_url("**done=password*")


@pytest.mark.parametrize(
    ("name", "end", "stays_away"),
    [("Salma", _take_back, True), ("Nadia", _sign_out_everywhere, False), ("Hiba", _change_password, True)],
    ids=["app-withdrawn", "signed-out-everywhere", "password-changed"],
)
def test_access_ends_at_once(
    new_tab: NewTab, clinic: Clinic, name: str, end: Callable[[Clinic, Tab], None], stays_away: bool
) -> None:
    # smart-117, smart-166, smart-169: within one second. `stays_away`: with offline_access, which signing out leaves alone
    email = clinic.add_person(name, "patient", f"Patient/{clinic.ids['amina']}")
    app, account = new_tab(), new_tab()
    app.open_app()
    app.sign_in(email)
    app.page.set_checked("[name=allow][value=offline_access]", stays_away)
    app.decide()
    app.expect_app()
    patient, token = app.token["patient"], app.token
    assert ("refresh_token" in token) == stays_away
    assert app.request(f"Patient/{patient}")["id"] == patient
    account.page.goto(clinic.at("login"))
    account.sign_in(email)
    account.page.wait_for_url("**/account*")
    app.expect_status(400, 401)
    end(clinic, account)
    refused = app.request(f"Patient/{patient}")
    assert not isinstance(refused, dict)
    if stays_away:
        form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": "diary"}
        answer = app.page.context.request.post(clinic.at("token"), form=form)
        assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


def test_what_lasts_while_somebody_is_signed_in(tab: Tab, clinic: Clinic) -> None:
    # smart-113
    tab.open_app("board", f"{EHR_SCOPE} launch/patient".removeprefix("launch "))
    tab.sign_in("leila@clinic.example")
    tab.pick("العلمي", clinic.ids["omar"])
    tab.decide()
    tab.expect_app()
    token = tab.ask("(await client.refresh()).tokenResponse")
    second = Tab(tab.page.context, clinic)
    second.page.goto(clinic.at("logout"))
    second.page.get_by_role("button", name="Sign out", exact=True).click()
    second.page.wait_for_url("**done=logout*")
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": "board"}
    answer = tab.page.context.request.post(clinic.at("token"), form=form)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    tab.expect_status(400, 401)
    assert not isinstance(tab.request(f"Patient/{clinic.ids['omar']}"), dict)
    assert second.faults == []
