"""What visitors without account may see and hold, and that it is nothing else, by any way."""

from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.core.context import Context
from fhir_server.core.errors import Throttled
from fhir_server.features.scheduling import callers
from fhir_server.security import guests, throttle
from fhir_server.security.authenticate import token_digest
from fhir_server.storage import access_tokens
from fhir_server.storage import accounts as account_rows
from tests.client import Client
from tests.features.scheduling.clinic_day import Practice, detail, in_days, matched, named
from tests.features.scheduling.visitor import Visitor, code_for, enter, fresh, holding, mobile, out, sql

if TYPE_CHECKING:
    from tests.conftest import TestTenant


@pytest.fixture
def visitor(tenant: "TestTenant") -> Visitor:
    """A new browser."""
    return Visitor(tenant)


@pytest.fixture
def times(client: Client) -> Practice:
    """A practice with a whole free day."""
    return Practice(client)


def test_the_directory_is_public_and_cut(tenant: "TestTenant", client: Client, visitor: Visitor) -> None:
    shown, hidden = Practice(client), Practice(client, {"onlineBooking": False})
    id_ = shown.practitioner[0]
    who = client.get(id_).json
    client.put(id_, {**who, "birthDate": "1970-01-01", "telecom": [{"system": "phone", "value": "0612345678"}],
                     "address": [{"city": "Rabat"}], "identifier": [{"value": "1"}]})  # fmt: skip
    answer = visitor.looking.get("HealthcareService/$directory")
    assert answer.status == 200, answer.text
    found = {f"{each['resource']['resourceType']}/{each['resource']['id']}": each["resource"] for each in answer.json["entry"]}
    assert shown.service in found and shown.schedule[0] in found
    assert set(found[id_]) == {"resourceType", "id", "meta", "name"}
    assert {hidden.service, hidden.schedule[0], hidden.practitioner[0]}.isdisjoint(found)


def test_a_guest_reads_nothing_else(tenant: "TestTenant", client: Client, visitor: Visitor, times: Practice) -> None:
    who = times.patient()
    visit = times.booked(who, in_days(5))
    held = holding(visitor, times, 6)
    mine = visitor.client
    assert mine.get(f"Appointment/{held['id']}").status == 200
    assert [each["id"] for each in mine.search("Appointment")] == [held["id"]]
    tries = [
        who, "Patient", f"Appointment/{visit['id']}", f"Appointment/{visit['id']}/_history", "Slot", "Schedule", "Practitioner",
        f"{times.practitioner[0]}", "Encounter", "Observation", "AuditEvent", "Task", "Patient/_history",
        f"{who}/$everything", "Person", "Communication", "Provenance", "Device",
    ]  # fmt: skip
    assert {path: mine.get(path).status for path in tries if mine.get(path).status not in (403, 404)} == {}
    for query in (
        f"{who}/Appointment", "_history", "?_type=Patient,Appointment", f"Appointment?patient={who}", f"Appointment?_id={visit['id']}", "Appointment?_include=*&_id=" + visit["id"],
        "Appointment?_has:Provenance:target:recorded=gt2000", f"Appointment?actor:Patient.name=x&_id={visit['id']}",
    ):  # fmt: skip
        answer = mine.get(query)
        assert answer.status in (400, 403) or not answer.json.get("entry") or all(
            each["resource"].get("id", held["id"]) == held["id"] for each in answer.json["entry"]
        ), query
    included = mine.search(f"Appointment?_id={held['id']}&_include=Appointment:actor&_include=Appointment:slot&_revinclude=Task:focus")
    assert [each["resourceType"] for each in included] == ["Appointment"]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": url}} for url in (who, f"Appointment/{visit['id']}", "Patient?name=a")]}  # fmt: skip
    answer = mine.post("", batch)
    assert [each["response"]["status"][:3] for each in answer.json["entry"]] == ["403", "404", "403"]
    for level in (mine, visitor.looking):
        assert level.get(f"Appointment/$find?start=2027-01-01&end=2027-01-02&patient-reference={who}").status in (400, 403, 404)


def test_a_guest_writes_nothing_but_holds(tenant: "TestTenant", client: Client, visitor: Visitor, times: Practice) -> None:
    who = times.patient()
    held = holding(visitor, times, 6)
    tag = held["meta"]["tag"]
    mine, full = visitor.client, times.appointment(who, in_days(7))
    booked = {**full, "status": "booked"}
    tries = {
        "book for a patient": mine.post("Appointment/$book", named(held["id"], patient_resource={"resourceType": "Patient", "id": who[8:]})),
        "book for a new one": mine.post(
            "Appointment/$book", named(held["id"], patient_resource={"resourceType": "Patient", "name": [{"family": "x"}]})),
        "book for nobody": mine.post("Appointment/$book", named(held["id"])),
        "create": mine.post("Appointment", booked),
        "create tagged": mine.post("Appointment", {**booked, "meta": {"tag": tag}}),
        "create pending": mine.post("Appointment", {**times.appointment(None, in_days(7)), "status": "pending", "meta": {"tag": tag}}),
        "wait": mine.post("Appointment", {**times.appointment(None, in_days(7)), "status": "waitlist", "meta": {"tag": tag}}),
        "book the hold": mine.put(f"Appointment/{held['id']}", {**held, "status": "booked"}),
        "more people": mine.put(f"Appointment/{held['id']}", {**held, "participant": [*held["participant"], *booked["participant"]]}),
        "delete": mine.delete(f"Appointment/{held['id']}"),
        "patient": mine.post("Patient", {"resourceType": "Patient"}),
        "slot": mine.post("Slot", {"resourceType": "Slot", "schedule": {"reference": times.schedule[0]}, "status": "busy",
                                   "start": "2027-01-01T09:00:00Z", "end": "2027-01-01T10:00:00Z"}),
        "batch": mine.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": booked, "request": {"method": "POST", "url": "Appointment"}}]}),
    }  # fmt: skip
    assert {name: answer.status for name, answer in tries.items() if answer.status < 400} == {}
    assert all(answer.status < 500 for answer in tries.values())
    assert client.get(f"Appointment/{held['id']}").json["status"] == "pending"
    assert visitor.looking.post("Appointment/$hold", named(times.proposal(in_days(8))["id"])).status == 403


def test_holds_are_few(tenant: "TestTenant", visitor: Visitor, times: Practice) -> None:
    for days in (9, 10):
        holding(visitor, times, days)
    third = visitor.client.post("Appointment/$hold", named(times.proposal(in_days(11))["id"]))
    assert (third.status, detail(third)) == (422, "limit-reached")
    # Somebody else does not get at them.
    other, own = Visitor(tenant), visitor.client.search("Appointment")[0]["id"]
    assert other.client.get(f"Appointment/{own}").status == 404
    assert other.client.post(f"Appointment/{own}/$cancel").status == 404
    assert other.client.post("Appointment/$hold", named(own)).status == 404
    assert matched(visitor.client.post("Appointment/$hold", named(own)))["id"] == own
    again = visitor.client.post("Appointment/$hold", named(own))
    assert (again.status, detail(again)) == (409, "limit-reached")
    assert matched(visitor.client.post(f"Appointment/{own}/$cancel"))["status"] == "cancelled"


def test_guests_of_one_address_are_few(tenant: "TestTenant") -> None:
    for _ in range(30):
        assert Visitor(tenant, address="198.51.100.7").client.token
    with pytest.raises(Throttled):
        assert Visitor(tenant, address="198.51.100.7").client
    # Who is known in another process already does not count again.
    known = Visitor(tenant, address="198.51.100.8")
    for _ in range(40):
        guests._known.clear()
        assert known.client.get("HealthcareService/$directory").status == 200


def test_not_bookable_online_by_any_way(tenant: "TestTenant", client: Client, visitor: Visitor) -> None:
    closed = Practice(client, {"onlineBooking": False})
    proposal = closed.proposal(in_days(2))["id"]
    email = fresh()
    visitor.register(email=email)
    found = visitor.client.get(f"Appointment/$find?start={in_days(1).date()}&end={in_days(9).date()}&practitioner={closed.practitioner[0]}")
    assert [each for each in found.json["entry"] if each["search"]["mode"] == "match"] == []
    held = visitor.client.post("Appointment/$hold", named(proposal))
    assert (held.status, detail(held)) == (422, "not-bookable-online")
    booked = visitor.prove(code_for(tenant, email), proposal)
    assert (booked.status, detail(booked)) == (422, "not-bookable-online")
    raw = visitor.client.post("Appointment", {**closed.appointment(None, in_days(2)), "status": "booked"})
    assert raw.status == 403


def test_another_guests_hold_is_not_booked(tenant: "TestTenant", visitor: Visitor, times: Practice) -> None:
    held, thief, email = holding(visitor, times, 12), Visitor(tenant), fresh()
    thief.register(email=email)
    assert thief.prove(code_for(tenant, email), held["id"]).status == 404


def test_the_holder_is_the_same_code_everywhere() -> None:
    from types import SimpleNamespace

    ctx: Any = SimpleNamespace(
        tenant=SimpleNamespace(id=7), principal=SimpleNamespace(user=SimpleNamespace(id="guest-1"), patient=None, client_id="")
    )
    given: Context = ctx
    assert guests.holder_code(7, "guest-1") == callers.holder(given)


def test_a_foreign_tenants_token_is_none(tenant: "TestTenant", new_tenant: Any, visitor: Visitor) -> None:
    elsewhere = new_tenant()
    assert Client(elsewhere.slug, visitor.client.token).get("HealthcareService/$directory").status == 401


def test_who_acts_for_several_holds_for_one(tenant: "TestTenant", client: Client, times: Practice) -> None:
    number = mobile()
    first, second = Visitor(tenant), Visitor(tenant)
    for each, given in ((first, "Sara"), (second, "Yanis")):
        each.register(phone=number, given=given)
        out(each.prove(code_for(tenant, number)))
    db, _ = enter(tenant)
    account = account_rows.by_phone(db, tenant.id, number)
    assert account is not None and len(account.patients) == 2
    db.run([access_tokens.save(tenant.id, token_digest("family"), scope="user/*.cruds", client_id="x", seconds=60,
                               token_id="t", user_id=account.id)], final=True)  # fmt: skip
    family = Client(tenant.slug, "family")
    proposal = times.proposal(in_days(4), family)["id"]
    assert family.post("Appointment/$hold", named(proposal)).status == 403
    child = f"Patient/{account.patients[1]}"
    held = matched(family.post("Appointment/$hold", named(proposal, patient_reference={"reference": child})))
    assert child in [each["actor"]["reference"] for each in held["participant"]]
    other = times.patient()
    refused = family.post(
        "Appointment/$hold", named(times.proposal(in_days(5), family)["id"], patient_reference={"reference": other})
    )
    assert refused.status in (403, 404)
    booked = matched(family.post("Appointment/$book", named(held["id"])))
    assert booked["status"] == "booked"


def test_a_mode_is_chosen_or_refused(client: Client, visitor: Visitor, times: Practice) -> None:
    proposal = times.proposal(in_days(3), visitor.client)["id"]
    body = named(proposal)
    body["parameter"].append({"name": "mode", "valueCode": "video"})
    assert visitor.client.post("Appointment/$hold", body).status == 422
    modes = [{"coding": [{"system": "urn:salam:CodeSystem:service-mode", "code": code}]} for code in ("on-site", "video")]
    service = client.get(times.service).json
    assert client.put(times.service, {**service, "characteristic": modes}).status == 200
    held = matched(visitor.client.post("Appointment/$hold", body))
    assert {"url": "urn:salam:StructureDefinition:service-mode", "valueCode": "video"} in held["extension"]


def test_a_guest_is_slowed_down(tenant: "TestTenant", visitor: Visitor) -> None:
    def ask() -> int:
        for number in range(2000):
            try:
                throttle.fhir(tenant.id, throttle.GUESTS, visitor.id)
            except Throttled:
                return number
        return 2000

    # A minute may end in between.
    assert 600 <= ask() <= 1200
    throttle.fhir(tenant.id, throttle.GUESTS, throttle.VISITOR, cost=2000)


def test_guests_are_forgotten(tenant: "TestTenant", visitor: Visitor) -> None:
    old = Visitor(tenant)
    assert old.client.token and visitor.client.token and visitor.looking.token
    old.register()
    sql(tenant, "UPDATE user_account SET created_at = now() - interval '3 days' WHERE tenant_id = $1"
        " AND user_id IN ($2, 'visitor')", old.id)  # fmt: skip
    sql(tenant, "UPDATE guest_proof SET expires_at = now() - interval '2 days' WHERE tenant_id = $1 AND guest_id = $2", old.id)
    db, _ = enter(tenant)
    db.run(account_rows.sweep(tenant.id), final=True)
    left = [row[0] for row in sql(tenant, "SELECT user_id FROM user_account WHERE tenant_id = $1 AND role = 'guest'")]
    assert b"visitor" in left and visitor.id.encode() in left and old.id.encode() not in left
    assert sql(tenant, "SELECT 1 FROM guest_proof WHERE tenant_id = $1 AND guest_id = $2", old.id) == []
