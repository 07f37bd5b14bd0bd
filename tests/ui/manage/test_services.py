"""Services: a form of a HealthcareService that keeps what it does not know."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from tests.ui.conftest import Demo, Person
from tests.ui.manage.forms import changed, form_of, text_of

PARAMETERS = "urn:salam:StructureDefinition:scheduling-parameters"
# What no field of the form shows, at many places.
STRANGE: dict[str, Any] = {
    "resourceType": "HealthcareService", "active": True, "name": "Consultation <b>rare</b>", "comment": "Venez à jeun.",
    "type": [{"coding": [{"system": "urn:test", "code": "strange"}], "text": "Type"}],
    "characteristic": [
        {"text": "Accessible"}, {"coding": [{"system": "urn:salam:CodeSystem:service-mode", "code": "video"}]},
    ],
    "telecom": [{"system": "phone", "value": "+212522000001"}], "extraDetails": "Longtemps",
    "location": [{"reference": "Location/demo-maarif"}, {"reference": "Location/demo-anfa"}],
    "_name": {"extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/translation", "extension": [
            {"url": "lang", "valueCode": "ar"}, {"url": "content", "valueString": "استشارة"}]},
        {"url": "http://hl7.org/fhir/StructureDefinition/translation", "extension": [
            {"url": "lang", "valueCode": "wo"}, {"url": "content", "valueString": "Fajkat"}]},
    ]},
    "extension": [
        {"url": "urn:test:other", "valueString": "stays"},
        {"url": PARAMETERS, "id": "rules", "extension": [
            {"url": "timezone", "valueCode": "Africa/Casablanca"},
            {"url": "duration", "valuePositiveInt": 25, "id": "d1"},
            {"url": "price", "valueMoney": {"value": Decimal("250.50"), "currency": "MAD"}},
            {"url": "minNotice", "valueUnsignedInt": 2880},
            {"url": "emergencyReserve", "extension": [{"url": "perDay", "valuePositiveInt": 2}]},
            {"url": "available", "extension": [{"url": "day", "valueCode": "mon"}, {"url": "start", "valueTime": "09:00:00"}, {"url": "end", "valueTime": "12:00:00"}]},
            {"url": "insurer", "valueReference": {"reference": "Organization/demo-clinic"}},
        ]},
    ],
}  # fmt: skip


@pytest.fixture
def strange(clinic: Demo) -> dict[str, Any]:
    return clinic.client().create(deepcopy(STRANGE))


@pytest.fixture
def manager(clinic: Demo) -> Person:
    return clinic.person("manager")


def stored(clinic: Demo, service: dict[str, Any]) -> dict[str, Any]:
    found = dict(clinic.client().get(f"HealthcareService/{service['id']}").json)
    found.pop("meta")
    return found


def parts(resource: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rules = next(each for each in resource["extension"] if each["url"] == PARAMETERS)
    return [each for each in rules["extension"] if each["url"] == name]


def test_to_save_without_a_change_changes_nothing(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    before = stored(clinic, strange)
    path = f"manage/services/{strange['id']}"
    answer = manager.post(path, form_of(manager.get(path), "comment"))
    assert answer.status_code == 303, text_of(answer)
    assert stored(clinic, strange) == before


def test_a_price_is_changed_and_all_else_stays(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    before, path = stored(clinic, strange), f"manage/services/{strange['id']}"
    form = changed(form_of(manager.get(path), "comment"), price="300,25")
    assert manager.post(path, form).status_code == 303
    after = stored(clinic, strange)
    assert parts(after, "price")[0]["valueMoney"] == {"value": Decimal("300.25"), "currency": "MAD"}
    parts(after, "price")[0]["valueMoney"]["value"] = Decimal("250.50")
    assert after == before


def test_fields_are_emptied_and_filled(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path = f"manage/services/{strange['id']}"
    form = changed(
        form_of(manager.get(path), "comment"), name="Consultation", comment="", price="", duration="40", onlineBooking="1",
        minNotice="3", minNotice__unit="h", modes=["video", "phone"], name__ar="", name__en="Visit",
    )  # fmt: skip
    assert manager.post(path, form).status_code == 303
    after = stored(clinic, strange)
    assert "comment" not in after and parts(after, "price") == []
    assert parts(after, "duration") == [{"url": "duration", "valuePositiveInt": 40}]
    assert parts(after, "onlineBooking")[0]["valueBoolean"] is True
    assert parts(after, "minNotice")[0]["valueUnsignedInt"] == 180
    assert parts(after, "emergencyReserve") == parts(STRANGE, "emergencyReserve")
    codes = [c["code"] for each in after["characteristic"] for c in each.get("coding", [])]
    assert codes == ["video", "phone"] and {"text": "Accessible"} in after["characteristic"]
    languages = [each["extension"][0]["valueCode"] for each in after["_name"]["extension"]]
    assert languages == ["wo", "en"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""), ("name", "x" * 10_000), ("duration", "0"), ("duration", "-5"), ("duration", "9999"), ("duration", "ten"),
        ("duration", "1e2"), ("duration", "٣٠"), ("price", "much"), ("price", "-1"), ("price", "NaN"), ("price", "1e999"),
        ("price-currency", "dirham"), ("minNotice", "-1"), ("minNotice", "1.5"), ("holidays", "Maroc"), ("comment", "x" * 6000),
    ],
)  # fmt: skip
def test_bad_input_is_said_at_its_field_and_kept(clinic: Demo, manager: Person, strange: dict[str, Any], name: str, value: str) -> None:
    before, path = stored(clinic, strange), f"manage/services/{strange['id']}"
    form = changed(form_of(manager.get(path), "comment"), **{name.replace("-", "__"): value})
    answer = manager.post(path, form)
    at = "price" if name == "price-currency" else name
    assert answer.status_code == 422 and f'id="{at}-error"' in answer.text
    assert form_of(answer, "comment")[name] == [" ".join(value.split())]
    assert stored(clinic, strange) == before


@pytest.mark.parametrize(("name", "value"), [("eligibility", "this is ( no FHIRPath"), ("holidays", "ZZ")])
def test_what_only_the_server_knows_to_be_wrong_stands_at_the_field_too(manager: Person, strange: dict[str, Any], name: str, value: str) -> None:
    path = f"manage/services/{strange['id']}"
    answer = manager.post(path, changed(form_of(manager.get(path), "comment"), **{name: value}))
    assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert form_of(answer, "comment")[name] == [value]


def test_who_was_overtaken_sees_what_is_stored_and_keeps_what_was_typed(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path = f"manage/services/{strange['id']}"
    form = changed(form_of(manager.get(path), "comment"), price="300")
    other = clinic.person("owner")
    assert other.post(path, changed(form_of(other.get(path), "comment"), duration="55")).status_code == 303
    answer = manager.post(path, form)
    assert answer.status_code == 409 and 'id="overtaken"' in answer.text
    assert "55" in answer.text.partition('id="overtaken"')[2].partition("</ul>")[0]
    again = form_of(answer, "comment")
    assert again["price"] == ["300"]
    assert parts(stored(clinic, strange), "price")[0]["valueMoney"]["value"] == Decimal("250.50")
    # To save again is to decide for what was typed.
    assert manager.post(path, again).status_code == 303
    assert parts(stored(clinic, strange), "price")[0]["valueMoney"]["value"] == 300


def test_a_new_service_can_be_found_once_somebody_offers_it(clinic: Demo, manager: Person) -> None:
    form = changed(form_of(manager.get("manage/services/new"), "comment"), name="Échographie du foie", duration="20", price="400", onlineBooking="1")
    answer = manager.post("manage/services/new", form)
    assert answer.status_code == 303
    path = answer.headers["Location"].partition("?")[0]
    resource = clinic.client().get(f"HealthcareService/{path.rpartition('/')[2]}").json
    assert resource["type"][0]["coding"][0]["code"] == "echographie-du-foie" and resource["providedBy"]["reference"] == "Organization/demo-clinic"
    assert "_free" not in manager.get(f"{path}/free").text and "free-times" not in manager.get(f"{path}/free").text
    assert manager.post(f"{path}/offered", {"practitioner": "Practitioner/demo-elamrani"}).status_code == 303
    assert "free-times" in manager.get(f"{path}/free").text
    roles = clinic.client().search("PractitionerRole?practitioner=Practitioner/demo-elamrani")
    assert any(f"HealthcareService/{resource['id']}" in str(role) for role in roles)
    # Taken away again, the role keeps its other services.
    assert manager.post(f"{path}/offered", {}).status_code == 303
    assert all(resource["id"] not in str(role) for role in clinic.client().search("PractitionerRole"))


def test_a_service_is_retired_and_brought_back(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    answer = manager.post(f"manage/services/{strange['id']}/active?active=0", htmx=True)
    assert answer.status_code == 200 and '"undo"' in answer.headers["HX-Trigger"]
    assert stored(clinic, strange)["active"] is False
    assert strange["id"] not in manager.get("manage/services/").text and strange["id"] in manager.get("manage/services/?retired=1").text
    manager.post(f"manage/services/{strange['id']}/active?active=1", htmx=True)
    assert stored(clinic, strange)["active"] is True


def test_markup_in_names_is_text(manager: Person, strange: dict[str, Any]) -> None:
    for path in ("manage/services/", f"manage/services/{strange['id']}"):
        assert "<b>rare</b>" not in manager.get(path).text
    assert "&lt;b&gt;rare" in manager.get("manage/services/").text


@pytest.mark.parametrize("path", ["manage/", "manage/services/", "manage/services/new", "manage/hours/", "manage/staff/", "manage/staff/invite", "manage/queues/", "manage/messages/", "manage/messages/reminder", "manage/devices/"])
@pytest.mark.parametrize("role", ["receptionist", "nurse", "practitioner", "billing", "patient", "operator"])
def test_others_find_nothing_here(clinic: Demo, role: str, path: str) -> None:
    assert clinic.person(role).get(path).status_code == 404


def test_a_form_without_its_token_is_refused(manager: Person, strange: dict[str, Any]) -> None:
    path = f"manage/services/{strange['id']}"
    form = changed(form_of(manager.get(path), "comment"), csrf=None, price="1")
    assert manager.post(path, form, csrf=False).status_code == 403


@pytest.mark.parametrize("path", ["manage/services/none", "manage/hours/none", "manage/queues/none", "manage/devices/none", "manage/messages/none"])
def test_what_is_not_there_is_a_page_that_says_so(manager: Person, path: str) -> None:
    answer = manager.get(path)
    assert answer.status_code == 404 and "<h1" in answer.text
