"""Queues, boards and kiosks: forms that keep what they do not know, and what is done at once."""

from copy import deepcopy
from typing import Any

import pytest

from tests.ui.conftest import Demo, Person
from tests.ui.manage.forms import changed, form_of, text_of

QUEUE = "urn:salam:StructureDefinition:queue-configuration"
STRANGE: dict[str, Any] = {
    "resourceType": "HealthcareService", "active": True, "name": "Vaccins", "appointmentRequired": False, "extraDetails": "x",
    "extension": [
        {"url": QUEUE, "extension": [
            {"url": "prefix", "valueString": "V"}, {"url": "timezone", "valueCode": "Africa/Casablanca"},
            {"url": "kinds", "valueCode": "normal"}, {"url": "kinds", "valueCode": "vip"},
            {"url": "maxWaiting", "valueUnsignedInt": 30}, {"url": "closesAt", "valueTime": "17:30:00"},
            {"url": "remoteTickets", "valueBoolean": False},
            {"url": "transferTo", "valueReference": {"reference": "HealthcareService/demo-queue", "display": "Accueil"}}]},
        {"url": "urn:test:other", "valueString": "stays"},
    ],
}  # fmt: skip


@pytest.fixture
def strange(clinic: Demo) -> dict[str, Any]:
    return clinic.client().create(deepcopy(STRANGE))


@pytest.fixture
def manager(clinic: Demo) -> Person:
    return clinic.person("manager")


def stored(clinic: Demo, reference: str) -> dict[str, Any]:
    found = dict(clinic.client().get(reference).json)
    found.pop("meta")
    return found


def test_to_save_a_queue_without_a_change_changes_nothing(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path, name = f"manage/queues/{strange['id']}", f"HealthcareService/{strange['id']}"
    before = stored(clinic, name)
    answer = manager.post(path, form_of(manager.get(path), "prefix"))
    assert answer.status_code == 303, text_of(answer)
    assert stored(clinic, name) == before


def test_a_queue_is_changed(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path, name = f"manage/queues/{strange['id']}", f"HealthcareService/{strange['id']}"
    form = changed(
        form_of(manager.get(path), "prefix"), prefix="VX", kinds=["normal", "emergency"], display="initials", closesAt="",
        remoteTickets="1", lateTolerance="20", transferTo=["HealthcareService/demo-laboratory"],
    )  # fmt: skip
    assert manager.post(path, form).status_code == 303
    parts = stored(clinic, name)["extension"][0]["extension"]
    said = [(each["url"], next(v for k, v in each.items() if k != "url")) for each in parts]
    assert ("prefix", "VX") in said and ("display", "initials") in said and ("lateTolerance", 20) in said
    assert [v for k, v in said if k == "kinds"] == ["normal", "emergency"] and not [v for k, v in said if k == "closesAt"]
    assert ("remoteTickets", True) in said and ("timezone", "Africa/Casablanca") in said
    assert [v for k, v in said if k == "transferTo"] == [{"reference": "HealthcareService/demo-laboratory"}]


@pytest.mark.parametrize(
    ("name", "value"),
    [("prefix", "ABCDE"), ("prefix", "A-"), ("width", "7"), ("maxWaiting", "0"), ("maxWaiting", "x"), ("graceMinutes", "999"), ("closesAt", "soon"), ("display", "photo"), ("name", "")],
)  # fmt: skip
def test_bad_input_is_said_at_its_field(clinic: Demo, manager: Person, strange: dict[str, Any], name: str, value: str) -> None:
    path, resource = f"manage/queues/{strange['id']}", f"HealthcareService/{strange['id']}"
    before = stored(clinic, resource)
    answer = manager.post(path, changed(form_of(manager.get(path), "prefix"), **{name: value}))
    assert answer.status_code == 422 and f'id="{name}-error"' in answer.text
    assert stored(clinic, resource) == before


def test_who_was_overtaken_keeps_what_was_typed(clinic: Demo, manager: Person, strange: dict[str, Any]) -> None:
    path = f"manage/queues/{strange['id']}"
    form = changed(form_of(manager.get(path), "prefix"), prefix="Z")
    other = clinic.person("owner")
    other.post(path, changed(form_of(other.get(path), "prefix"), maxWaiting="44"))
    answer = manager.post(path, form)
    assert answer.status_code == 409 and "44" in answer.text and form_of(answer, "prefix")["prefix"] == ["Z"]


def test_a_new_queue_is_opened_paused_and_closed(clinic: Demo, manager: Person) -> None:
    form = form_of(manager.get("manage/queues/new"), "prefix")
    assert form["prefix"] not in ([""], ["A"], ["B"])
    assert manager.post("manage/queues/new", changed(form, name="Radiologie")).status_code == 303
    found = next(each for each in clinic.client().search("HealthcareService?name=Radiologie"))
    path = f"manage/queues/{found['id']}"
    for action, said in (("open", "Ouvert"), ("pause", "En pause"), ("resume", "Ouvert"), ("close", "Fermé")):
        answer = manager.post(f"{path}/{action}", htmx=True)
        assert answer.status_code == 200 and '"undo"' in answer.headers["HX-Trigger"]
        assert said in next(each for each in answer.text.split("<article") if "Radiologie" in each), action
    again = manager.post(f"{path}/resume", htmx=True)
    assert '"danger"' in again.headers["HX-Trigger"], "what is not possible now is said"


def test_a_board_is_made_joined_and_signed_out(clinic: Demo, manager: Person) -> None:
    form = changed(form_of(manager.get("manage/devices/new?kind=board"), "name"), name="Écran 1", location="Location/demo-maarif", language=["fr", "ar"], queue=["HealthcareService/demo-queue"])
    answer = manager.post("manage/devices/new", form)
    assert answer.status_code == 303, text_of(answer)
    path = answer.headers["Location"].partition("?")[0]
    resource = f"Device/{path.rpartition('/')[2]}"
    before = stored(clinic, resource)
    assert manager.post(path, form_of(manager.get(path), "name")).status_code == 303
    assert stored(clinic, resource) == before
    pairing = manager.post(f"{path}/pair", htmx=True)
    assert pairing.status_code == 200 and "data:image/png;base64," in pairing.text and "oauth/device?code=" in pairing.text
    assert manager.post(f"{path}/unpair").status_code == 303
    assert "Écran 1" in manager.get("manage/devices/").text
    assert manager.post(path, changed(form_of(manager.get(path), "name"), name="")).status_code == 422
