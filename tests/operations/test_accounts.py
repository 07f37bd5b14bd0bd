"""$accounts, $invite and the changes of accounts: who may do what to whom, and what it leaves behind."""

import email
import email.policy
import re
from pathlib import Path
from typing import Any

import pytest

from fhir_server.rest.dispatch import session
from fhir_server.security import mailing
from fhir_server.security.roles import roles
from fhir_server.settings import settings
from fhir_server.storage import accounts, tenants
from fhir_server.storage.accounts import Account
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.consent.people import user

PERSON = {"resourceType": "Practitioner", "active": True, "name": [{"family": "Sarr", "given": ["Khady"]}]}


@pytest.fixture(scope="module")
def manager(tenant: TestTenant) -> Client:
    return user(tenant, "manager")


@pytest.fixture(scope="module")
def owner(tenant: TestTenant) -> Client:
    return user(tenant, "owner")


def call(client: Client, operation: str, /, **values: Any) -> Answer:
    kinds = {"account": "valueId", "role": "valueCode", "language": "valueCode", "factors": "valueBoolean", "person": "valueReference"}
    given = []
    for key, value in values.items():
        if key == "resource":
            given.append({"name": key, "resource": value})
        else:
            given.append({"name": key, kinds.get(key, "valueString"): {"reference": value} if key == "person" else value})
    return client.post(f"${operation}", {"resourceType": "Parameters", "parameter": given})


def told(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.text
    return parts(answer.json["parameter"][0])


def parts(parameter: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: next(v for k, v in each.items() if k.startswith("value")) for each in parameter["part"]}


def listed(client: Client, query: str = "") -> dict[str, dict[str, Any]]:
    answer = client.get(f"$accounts{query}")
    assert answer.status == 200, answer.text
    rows = [parts(each) for each in answer.json.get("parameter", []) if each["name"] == "account"]
    return {row["email"]: row for row in rows}


def account_of(tenant: TestTenant, email: str) -> Account | None:
    db = session()
    place = tenants.find(db, tenant.slug)
    db.enter(tenant.id, None, place.registry_version)
    found = accounts.by_email(db, tenant.id, email)
    db.commit()
    return found


def letters(tenant: TestTenant) -> list[str]:
    """The letters that were sent now, as files (there is no mail server)."""
    folder = Path(settings.data_dir) / "mail"
    before = set(folder.glob("*.eml")) if folder.exists() else set()
    db = session()
    place = tenants.find(db, tenant.slug)
    db.enter(tenant.id, None, place.registry_version)
    mailing.send_due(db, tenant.id)
    db.commit()
    found = sorted(set(folder.glob("*.eml")) - before)
    read = [email.message_from_bytes(each.read_bytes(), policy=email.policy.default) for each in found]
    return [f"{each['To']}\n{each.get_body().get_content()}" for each in read]  # type: ignore[union-attr]


def audited(tenant: TestTenant, account: str) -> list[tuple[str, str]]:
    events = tenant.client("system/AuditEvent.rs").search("AuditEvent?_count=100&_sort=-date")
    return [(e["subtype"][0]["code"], str(e["agent"])) for e in events if account in str(e)]


# -- inviting ----------------------------------------------------------------------------------------------------------


def test_an_invitation_makes_person_and_account_and_sends_a_link(tenant: TestTenant, manager: Client) -> None:
    letters(tenant)
    made = told(call(manager, "invite", email="Khady@Clinic.example", role="nurse", name="Khady Sarr", language="ar", resource=PERSON))
    assert made["status"] == "invited" and made["email"] == "khady@clinic.example" and made["role"] == "nurse"
    person = tenant.client().get(made["person"]["reference"]).json
    assert person["name"][0]["family"] == "Sarr"
    [letter] = letters(tenant)
    link = re.search(r"oauth/invitation\?token=[0-9a-f]{32}\.[\w-]{43}", letter)
    assert link is not None and "khady@clinic.example" in letter
    # The link is shown to nobody else.
    assert "invitation" not in str(made)


def test_the_same_key_invites_once(tenant: TestTenant, manager: Client) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "email", "valueString": "twice@clinic.example"}, {"name": "role", "valueCode": "nurse"}]}
    first = manager.post("$invite", body, idempotency_key="k-1")
    again = manager.post("$invite", body, idempotency_key="k-1")
    assert first.status == again.status == 200 and told(first)["id"] == told(again)["id"]
    other = manager.post("$invite", body, idempotency_key="k-2")
    assert other.status == 409 and other.issues[0]["expression"] == ["http.email"]


@pytest.mark.parametrize(
    ("values", "status", "at"),
    [
        ({"role": "owner"}, 403, "http.role"),
        ({"role": "operator"}, 403, "http.role"),
        ({"role": "service"}, 403, "http.role"),
        ({"role": "wizard"}, 403, "http.role"),
        ({"role": "nurse", "email": "no address"}, 400, "http.email"),
        ({"role": "nurse", "language": "xx"}, 400, "http.language"),
        ({"role": "nurse", "person": "Patient/1"}, 400, "http.person"),
        ({"role": "nurse", "person": "Practitioner/nobody"}, 400, "http.person"),
        ({"role": "nurse", "resource": {"resourceType": "Patient"}}, 400, "http.resource"),
        ({"role": "patient"}, 400, "http.person"),
    ],
)
def test_invite_refuses(tenant: TestTenant, manager: Client, values: dict[str, Any], status: int, at: str) -> None:
    answer = call(manager, "invite", **{"email": "refused@clinic.example", **values})
    assert answer.status == status and answer.issues[0]["expression"] == [at], answer.text
    assert account_of(tenant, "refused@clinic.example") is None


def test_a_refused_invitation_leaves_no_person_behind(tenant: TestTenant, manager: Client) -> None:
    told(call(manager, "invite", email="known@clinic.example", role="nurse"))
    person = {**PERSON, "name": [{"family": "Leftover"}]}
    assert call(manager, "invite", email="known@clinic.example", role="nurse", resource=person).status == 409
    assert tenant.client().search("Practitioner?family=Leftover") == []


def test_a_person_that_is_not_valid_is_refused_with_its_path(manager: Client) -> None:
    answer = call(manager, "invite", email="odd@clinic.example", role="nurse", resource={**PERSON, "gender": "robot"})
    assert answer.status in (400, 422) and "gender" in str(answer.issues[0].get("expression"))


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [name for name, each in roles().items() if "users" not in each.may and not each.personal])
def test_only_roles_with_the_right_may(tenant: TestTenant, role: str) -> None:
    client = user(tenant, role)
    assert client.get("$accounts").status == 403
    assert call(client, "invite", email="x@clinic.example", role="nurse").status == 403


def test_an_app_with_a_narrow_token_of_the_owner_may_not(tenant: TestTenant) -> None:
    app = user(tenant, "owner", scope="user/Appointment.cruds user/Practitioner.rs")
    assert app.get("$accounts").status == 403
    assert call(app, "invite", email="x@clinic.example", role="owner").status == 403


def test_a_manager_touches_nobody_above_him(tenant: TestTenant, manager: Client, owner: Client) -> None:
    boss = told(call(owner, "invite", email="boss@clinic.example", role="owner"))
    for name, values in (("disable-account", {}), ("reset-account", {}), ("enable-account", {}), ("change-account", {"role": "nurse"})):
        answer = call(manager, name, account=boss["id"], **values)
        assert answer.status == 403, name
    assert account_of(tenant, "boss@clinic.example").status == "invited"  # type: ignore[union-attr]
    assert listed(manager)["boss@clinic.example"]["changeable"] is False
    assert listed(owner)["boss@clinic.example"]["changeable"] is True


def test_a_manager_makes_nobody_an_owner(manager: Client) -> None:
    nurse = told(call(manager, "invite", email="climber@clinic.example", role="nurse"))
    assert call(manager, "change-account", account=nurse["id"], role="owner").status == 403
    assert call(manager, "change-account", account=nurse["id"], role="operator").status == 403
    assert told(call(manager, "change-account", account=nurse["id"], role="receptionist"))["role"] == "receptionist"


def test_nobody_locks_himself_out(manager: Client) -> None:
    rows = [row for row in listed(manager).values() if row["role"] == "manager"]
    assert rows and all(row["changeable"] is False for row in rows if row["id"] == _own(manager, rows))
    for name, values in (("disable-account", {}), ("reset-account", {}), ("change-account", {"role": "nurse"})):
        assert call(manager, name, account=_own(manager, rows), **values).status == 409
    assert manager.get("$accounts").status == 200


def _own(client: Client, rows: list[dict[str, Any]]) -> str:
    own = [row["id"] for row in rows if not row["changeable"]]
    assert len(own) == 1
    return str(own[0])


def test_another_tenants_account_is_not_found(new_tenant: Any, manager: Client) -> None:
    elsewhere = new_tenant()
    foreign = told(call(user(elsewhere, "owner"), "invite", email="far@clinic.example", role="nurse"))
    assert call(manager, "disable-account", account=foreign["id"]).status == 404
    assert "far@clinic.example" not in listed(manager)


@pytest.mark.parametrize("account", ["nobody", "0" * 32, "'; --"])
def test_an_account_that_is_not_there_is_not_found(manager: Client, account: str) -> None:
    assert call(manager, "disable-account", account=account).status in (404, 422)


# -- changes -----------------------------------------------------------------------------------------------------------


def test_disable_ends_the_token_at_once_and_enable_lets_in_again(tenant: TestTenant, manager: Client) -> None:
    before = listed(manager, "?role=nurse")
    nurse = user(tenant, "nurse")
    [row] = [row for email, row in listed(manager, "?role=nurse").items() if email not in before]
    assert nurse.get("Patient?_count=1").status == 200
    assert told(call(manager, "disable-account", account=row["id"]))["status"] == "disabled"
    assert nurse.get("Patient?_count=1").status == 401
    assert call(manager, "reset-account", account=row["id"]).status == 409
    assert told(call(manager, "enable-account", account=row["id"]))["status"] in ("active", "invited")


def test_reset_sends_a_link_and_ends_the_password(tenant: TestTenant, manager: Client) -> None:
    made = told(call(manager, "invite", email="lost@clinic.example", role="nurse"))
    letters(tenant)
    again = told(call(manager, "reset-account", account=made["id"], factors=True))
    assert again["status"] == "invited" and len(letters(tenant)) == 1


def test_every_change_is_in_the_audit_log_with_who_did_it(tenant: TestTenant, manager: Client) -> None:
    made = told(call(manager, "invite", email="logged@clinic.example", role="nurse"))
    told(call(manager, "change-account", account=made["id"], role="billing"))
    told(call(manager, "disable-account", account=made["id"]))
    rows = audited(tenant, made["id"])
    assert {code for code, _ in rows} >= {"user-created", "110137"}
    assert all(made["id"] not in agent for _, agent in rows), "the manager did it, not the person"


def test_a_patient_gets_an_account_for_the_own_record_only(tenant: TestTenant, owner: Client) -> None:
    patient = tenant.client().create({"resourceType": "Patient", "name": [{"family": "Alami"}]})
    made = told(call(owner, "invite", email="patient@clinic.example", role="patient", person=f"Patient/{patient['id']}"))
    assert account_of(tenant, "patient@clinic.example").patients == (patient["id"],)  # type: ignore[union-attr]
    assert "patient@clinic.example" not in listed(owner), "patients are listed when they are asked for"
    assert listed(owner, "?role=patient")["patient@clinic.example"]["id"] == made["id"]


# -- the list ----------------------------------------------------------------------------------------------------------


def test_the_list_is_searched_and_paged(tenant: TestTenant, owner: Client) -> None:
    for number in range(5):
        told(call(owner, "invite", email=f"page{number}@paged.example", role="billing", name=f"Éloïse {number}"))
    assert len(listed(owner, "?text=paged.example")) == 5
    assert set(listed(owner, "?text=%C3%A9lo%C3%AFse%203")) == {"page3@paged.example"}
    assert listed(owner, "?text=%25") == {}
    seen: list[str] = []
    after = ""
    while True:
        answer = owner.get(f"$accounts?text=paged.example&_count=2{after}").json["parameter"]
        seen += [parts(each)["email"] for each in answer if each["name"] == "account"]
        onward = [each["valueId"] for each in answer if each["name"] == "next"]
        if not onward:
            break
        after = f"&after={onward[0]}"
    assert seen == [f"page{number}@paged.example" for number in range(5)]


@pytest.mark.parametrize("query", ["?_count=0", "?role=wizard", "?nonsense=1"])
def test_the_list_refuses_what_it_does_not_know(owner: Client, query: str) -> None:
    assert owner.get(f"$accounts{query}").status == 400


def test_patients_with_a_number_only_are_listed_and_get_no_letter(tenant: TestTenant, owner: Client) -> None:
    from fhir_server.security import accounts as people

    patient = tenant.client().create({"resourceType": "Patient"})
    db = session()
    db.enter(tenant.id, None, tenants.find(db, tenant.slug).registry_version)
    made = people.create_proved(db, tenant.id, email="", phone="+212661234567", name="Sara", language="ar", patient_id=patient["id"])
    db.commit()
    rows = [parts(each) for each in owner.get("$accounts?role=patient&text=61234567").json["parameter"] if each["name"] == "account"]
    assert [row["id"] for row in rows] == [made.id] and rows[0]["phone"] == "+212661234567" and "email" not in rows[0]
    assert call(owner, "reset-account", account=made.id).status == 409
    assert told(call(owner, "disable-account", account=made.id))["status"] == "disabled"
    assert told(call(owner, "enable-account", account=made.id))["status"] == "active"
    seen, after = 0, ""
    for _ in range(20):
        page = owner.get(f"$accounts?role=patient&_count=1{after}").json["parameter"]
        seen += sum(each["name"] == "account" for each in page)
        onward = [each["valueId"] for each in page if each["name"] == "next"]
        if not onward:
            break
        after = f"&after={onward[0]}"
    assert seen == len([e for e in owner.get("$accounts?role=patient").json["parameter"] if e["name"] == "account"]) >= 2
