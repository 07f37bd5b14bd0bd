"""Staff: invitations and changes of accounts from the page."""

import re

import pytest

from fhir_server.security.roles import roles
from tests.ui.conftest import Demo, Person
from tests.ui.manage.forms import changed, form_of, text_of


@pytest.fixture
def manager(clinic: Demo) -> Person:
    return clinic.person("manager")


def card(page: str, email: str) -> str:
    """The part of the list about an account."""
    return next(each for each in page.split("<article") if email in each)


def account(page: str, email: str) -> str:
    found = re.search(r"account-([0-9a-f]{32})", card(page, email))
    assert found is not None
    return found[1]


def invite(who: Person, email: str, /, **fields: str) -> int:
    form = changed(form_of(who.get("manage/staff/invite"), "email"), email=email, **{"given": "Awa", "family": "Diop", "person": "new", "role": "nurse", **fields})
    return int(who.post("manage/staff/invite", form).status_code)


def test_somebody_new_is_invited_with_a_person_of_the_clinic(clinic: Demo, manager: Person) -> None:
    assert invite(manager, "awa@clinic.example", role="receptionist", language="ar") == 303
    [person] = clinic.client().search("Practitioner?family=Diop&given=Awa")
    assert person["telecom"][0]["value"] == "awa@clinic.example"
    shown = card(manager.get("manage/staff/").text, "awa@clinic.example")
    assert "Awa DIOP" in shown and "Invité" in shown and "Réceptionniste" in shown


def test_somebody_known_is_invited(clinic: Demo, manager: Person) -> None:
    assert invite(manager, "ndiaye@clinic.example", role="practitioner", person="Practitioner/demo-ndiaye", given="", family="") == 303
    assert "NDIAYE" in card(manager.get("manage/staff/").text, "ndiaye@clinic.example")


def test_an_address_that_is_taken_is_said_at_its_field(clinic: Demo, manager: Person) -> None:
    form = changed(form_of(manager.get("manage/staff/invite"), "email"), email="nurse@demo.example", family="Diop", person="new")
    answer = manager.post("manage/staff/invite", form)
    assert answer.status_code == 422 and 'id="email-error"' in answer.text
    assert form_of(answer, "email")["email"] == ["nurse@demo.example"] and form_of(answer, "email")["family"] == ["Diop"]
    assert clinic.client().search("Practitioner?email=nurse@demo.example") == []


@pytest.mark.parametrize(
    ("fields", "at"),
    [({"email": "nobody"}, "email"), ({"email": "x y@z"}, "email"), ({"email": "a@" + "b" * 300}, "email"), ({"family": ""}, "family"),
     ({"role": "owner"}, "role"), ({"role": "operator"}, "role"), ({"role": "wizard"}, "role"), ({"role": "patient"}, "role"), ({"person": "Practitioner/none"}, "person")],
)  # fmt: skip
def test_bad_input_is_said_at_its_field(manager: Person, fields: dict[str, str], at: str) -> None:
    form = changed(form_of(manager.get("manage/staff/invite"), "email"), **{"email": "fine@clinic.example", "family": "Diop", "person": "new", "role": "nurse", **fields})
    answer = manager.post("manage/staff/invite", form)
    assert answer.status_code == 422 and f'id="{at}-error"' in answer.text, text_of(answer)


def test_a_manager_is_not_offered_what_is_above_him(clinic: Demo, manager: Person) -> None:
    offered = manager.get("manage/staff/invite").text.partition('name="role"')[2].partition("</select>")[0]
    assert "owner" not in offered and "operator" not in offered and "nurse" in offered
    page = manager.get("manage/staff/").text
    for above in ("owner@demo.example", "operator@demo.example", "manager@demo.example"):
        assert "<form" not in card(page, above), above
    assert "<form" in card(page, "nurse@demo.example")
    assert "patient@demo.example" not in page and "board@demo.example" not in page


@pytest.mark.parametrize("action", ["disable", "enable", "reset", "role"])
def test_a_manager_cannot_touch_the_owner_by_hand_either(clinic: Demo, manager: Person, action: str) -> None:
    owner = account(clinic.person("owner").get("manage/staff/").text, "owner@demo.example")
    answer = manager.post(f"manage/staff/{owner}/{action}", {"role": "nurse"})
    assert answer.status_code in (403, 409)
    assert clinic.person("owner").get("manage/").status_code == 200


def test_a_manager_cannot_make_somebody_an_owner_by_hand(clinic: Demo, manager: Person) -> None:
    invite(manager, "up@clinic.example")
    climber = account(manager.get("manage/staff/").text, "up@clinic.example")
    assert manager.post(f"manage/staff/{climber}/role", {"role": "owner"}).status_code == 403
    assert manager.post(f"manage/staff/{climber}/role", {"role": "billing"}).status_code == 303
    assert roles()["billing"].titles["fr"] in card(manager.get("manage/staff/").text, "up@clinic.example")


def test_to_close_an_account_can_be_taken_back(clinic: Demo, manager: Person) -> None:
    invite(manager, "closed@clinic.example")
    known = account(manager.get("manage/staff/").text, "closed@clinic.example")
    answer = manager.post(f"manage/staff/{known}/disable", htmx=True)
    assert '"undo"' in answer.headers["HX-Trigger"]
    assert "Fermé" in card(manager.get("manage/staff/").text, "closed@clinic.example")
    assert manager.post(f"manage/staff/{known}/enable").status_code == 303
    assert "Fermé" not in card(manager.get("manage/staff/").text, "closed@clinic.example")


def test_nobody_closes_the_own_account(clinic: Demo) -> None:
    owner = clinic.person("owner")
    own = account(owner.get("manage/staff/").text, "owner@demo.example")
    assert owner.post(f"manage/staff/{own}/disable").status_code == 409
    assert owner.get("manage/staff/").status_code == 200


def test_a_new_password_and_the_loss_of_a_phone(clinic: Demo, manager: Person) -> None:
    invite(manager, "phone@clinic.example")
    known = account(manager.get("manage/staff/").text, "phone@clinic.example")
    for form in ({}, {"factors": "1"}):
        assert manager.post(f"manage/staff/{known}/reset", form).status_code == 303


def test_the_list_is_searched(manager: Person) -> None:
    found = manager.get("manage/staff/?text=nurse%40").text
    assert "nurse@demo.example" in found and "billing@demo.example" not in found
    assert "billing@demo.example" in manager.get("manage/staff/?role=billing").text
    nothing = manager.get("manage/staff/?text=%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in nothing


def test_names_are_text(clinic: Demo, manager: Person) -> None:
    assert invite(manager, "xss@clinic.example", family="<img src=x onerror=alert(1)>") == 303
    assert "<img src=x" not in manager.get("manage/staff/").text.lower()
