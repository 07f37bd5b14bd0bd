"""$apps, $register-app, $change-app, $launch-app: who may, what comes back, what is refused."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.client import Answer, Client
from tests.ui.conftest import Demo

SCOPE = "launch launch/patient openid online_access patient/Patient.rs patient/Observation.rs"
CALLBACK = "https://chart.example/back"


def user(clinic: Demo, role: str) -> Client:
    """A client with the token that the pages use for somebody of the role."""
    from fhir_server.security import own_pages

    person = clinic.person(role)
    assert person.get("apps/").status_code in (200, 404)
    cookie = person.http.get_cookie(f"salam-{clinic.slug}")
    assert cookie is not None
    person.post("live")
    return Client(clinic.slug, own_pages.token_of(cookie.value))


def call(client: Client, code: str, **values: Any) -> Answer:
    """An operation by POST; values: lists repeat, tuples name the type."""
    parts = []
    for name, given in values.items():
        for each in given if isinstance(given, list) else [given]:
            kind, value = each if isinstance(each, tuple) else ("String", each)
            parts.append({"name": name.replace("_", "-"), f"value{kind}": value})
    return client.post(f"${code}", {"resourceType": "Parameters", "parameter": parts})


def apps(client: Client) -> dict[str, dict[str, list[Any]]]:
    """What $apps tells, by client_id."""
    found = {}
    for app in client.get("$apps").json.get("parameter", []):
        told: dict[str, list[Any]] = {}
        for part in app["part"]:
            told.setdefault(part["name"], []).append(next(value for name, value in part.items() if name != "name"))
        found[told["client-id"][0]] = told
    return found


def register(client: Client, id: str, **more: Any) -> Answer:
    given = {
        "name": "Chart",
        "scope": SCOPE,
        "redirect_uri": ("Uri", CALLBACK),
        "launch_url": ("Uri", "https://chart.example/launch"),
    }
    return call(client, "register-app", **{"client_id": id, **given, **more})


@pytest.fixture(scope="module")
def owner(clinic: Demo) -> Client:
    return user(clinic, "owner")


@pytest.fixture(scope="module")
def doctor(clinic: Demo) -> Client:
    return user(clinic, "practitioner")


def test_the_app_that_comes_along_is_registered(clinic: Demo, doctor: Client) -> None:
    told = apps(doctor)["croissance"]
    assert told["opens-from-record"] == [True] == told["asks-for-patient"] and told["kind"] == ["public"]
    assert "redirect-uri" not in told and "launch-url" not in told


def test_an_owner_registers_an_app_and_sees_how(owner: Client) -> None:
    answer = register(owner, "op-public")
    assert answer.status == 200, answer.text
    assert [each["name"] for each in answer.json["parameter"]] == ["app"]
    told = apps(owner)["op-public"]
    assert told["redirect-uri"] == [CALLBACK] and told["status"] == ["active"] and told["registered"]


def test_a_confidential_app_gets_its_secret_once(owner: Client) -> None:
    answer = register(owner, "op-secret", kind=("Code", "confidential"))
    secret = [each["valueString"] for each in answer.json["parameter"] if each["name"] == "client-secret"]
    assert len(secret) == 1 and len(secret[0]) > 30
    assert secret[0] not in owner.get("$apps").text


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"redirect_uri": ("Uri", "http://elsewhere.example/back")}, "http.redirect-uri"),
        ({"redirect_uri": ("Uri", "https://*.example/back")}, "http.redirect-uri"),
        ({"launch_url": ("Uri", "javascript:alert(1)")}, "http.launch-url"),
        ({"website": ("Uri", "ftp://chart.example")}, "http.website"),
        ({"scope": "system/*.cruds"}, "http.scope"),
        ({"scope": "everything"}, "http.scope"),
        ({"name": "x" * 201}, "http.name"),
        ({"name": " "}, "http.name"),
        ({"kind": ("Code", "service")}, "http.kind"),
        ({"client_id": "a b"}, "http.client-id"),
    ],
)
def test_what_is_wrong_is_said_at_its_parameter(owner: Client, wrong: dict[str, Any], where: str) -> None:
    answer = register(owner, "op-wrong", **wrong)
    assert answer.status == 400 and answer.issues[0]["expression"] == [where], answer.text
    assert "op-wrong" not in apps(owner)


def test_a_taken_name_is_a_duplicate(owner: Client) -> None:
    register(owner, "op-twice")
    answer = register(owner, "op-twice")
    assert answer.status == 400 and answer.issues[0]["code"] == "duplicate"


@pytest.mark.parametrize("role", ["manager", "practitioner", "nurse", "receptionist", "patient", "proxy"])
def test_only_who_has_the_right_changes_apps(clinic: Demo, role: str) -> None:
    client = user(clinic, role)
    assert register(client, f"op-{role}").status == 403
    assert call(client, "change-app", client_id="croissance", status=("Code", "disabled")).status == 403


def test_an_app_of_the_owner_registers_no_apps(clinic: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that an app was given reaches no further than its scopes, whoever it acts for."""
    from fhir_server.security import own_pages

    monkeypatch.setattr(own_pages, "_SCOPE", "user/Observation.cruds user/Patient.r")
    narrow = user(clinic, "owner")
    assert register(narrow, "op-narrow").status == 403
    assert call(narrow, "change-app", client_id="croissance", status=("Code", "disabled")).status == 403
    assert "redirect-uri" not in narrow.get("$apps").text


def test_an_app_of_a_doctor_that_sees_no_patient_launches_nothing(
    clinic: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_server.security import own_pages

    monkeypatch.setattr(own_pages, "_SCOPE", "user/Observation.rs")
    narrow = user(clinic, "practitioner")
    assert call(narrow, "launch-app", client_id="croissance", patient=("Id", "demo-0001")).status == 403


def test_disabling_ends_and_enabling_lets_in_again(clinic: Demo, owner: Client, doctor: Client) -> None:
    register(owner, "op-switch")
    assert "op-switch" in apps(doctor)
    assert call(owner, "change-app", client_id="op-switch", status=("Code", "disabled")).status == 200
    assert "op-switch" not in apps(doctor)
    assert apps(owner)["op-switch"]["status"] == ["disabled"]
    assert call(doctor, "launch-app", client_id="op-switch", patient=("Id", "demo-0001")).status == 404
    assert call(owner, "change-app", client_id="op-switch", status=("Code", "active")).status == 200
    assert "op-switch" in apps(doctor)
    assert call(owner, "change-app", client_id="op-switch", status=("Code", "gone")).status == 400
    assert call(owner, "change-app", client_id="nobody", status=("Code", "active")).status == 404


def test_a_launch_is_for_its_patient_and_noted(clinic: Demo, doctor: Client) -> None:
    answer = call(doctor, "launch-app", client_id="croissance", patient=("Id", "demo-0001"))
    assert answer.status == 200, answer.text
    url = next(each["valueUri"] for each in answer.json["parameter"] if each["name"] == "url")
    query = parse_qs(urlsplit(url).query)
    assert query["iss"] == [doctor.base] and len(query["launch"][0]) > 30
    assert clinic.client().get("AuditEvent?subtype=launch&_count=1").json["entry"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"client_id": "croissance", "patient": ("Id", "nobody")}, 404),
        ({"client_id": "croissance", "patient": ("Id", "demo-0001"), "encounter": ("Id", "nobody")}, 404),
        ({"client_id": "nobody", "patient": ("Id", "demo-0001")}, 404),
        ({"client_id": "croissance", "patient": ("Id", "demo-0001"), "intent": "x" * 201}, 400),
        ({"client_id": "croissance"}, 400),
    ],
)
def test_what_cannot_be_launched(doctor: Client, given: dict[str, Any], status: int) -> None:
    assert call(doctor, "launch-app", **given).status == status


def test_an_encounter_of_another_patient_is_none(clinic: Demo, doctor: Client) -> None:
    visit = next(
        each
        for each in clinic.client().search("Encounter?_count=50")
        if each["subject"]["reference"] != "Patient/demo-0001"
    )
    given = {"client_id": "croissance", "patient": ("Id", "demo-0001"), "encounter": ("Id", visit["id"])}
    assert call(doctor, "launch-app", **given).status == 404


@pytest.mark.parametrize("role", ["owner", "manager", "receptionist", "patient", "proxy"])
def test_who_has_no_right_to_launch(clinic: Demo, role: str) -> None:
    assert call(user(clinic, role), "launch-app", client_id="croissance", patient=("Id", "demo-0001")).status == 403


def test_another_tenant_has_none_of_them(clinic: Demo, owner: Client, new_tenant: Any) -> None:
    register(owner, "op-here")
    other = new_tenant()
    assert "op-here" not in other.client().get("$apps").text
    assert Client(other.slug, owner.token).get("$apps").status == 401
