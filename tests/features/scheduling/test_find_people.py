"""For whom Appointment/$find looks, and on whose behalf it is asked."""

from datetime import timedelta
from typing import Any

from tests.client import Client
from tests.conftest import TestTenant
from tests.features.scheduling.town import (
    DAY,
    agenda,
    asked,
    at,
    busy,
    coming,
    doctor,
    find,
    hours,
    make,
    notes,
    one,
    proposals,
    reserve,
    rules,
    service,
    starts,
)


def test_a_patient_is_not_offered_what_overlaps_his_own(client: Client, tenant: TestTenant) -> None:
    _, who, _ = one(client)
    me, other = (make(client, "Patient", birthDate="1990-01-01") for _ in range(2))
    make(client, "Appointment", status="booked", start=at("09:15")[0], end=at("09:45")[0],
         participant=[{"actor": {"reference": me}, "status": "accepted"}])  # fmt: skip
    assert starts(find(client, DAY, DAY, practitioner=who, patient_reference=me)) == at("10:00", "10:30")
    assert len(starts(find(client, DAY, DAY, practitioner=who, patient_reference=other))) == 4
    both = find(client, DAY, DAY, practitioner=who, patient_reference=[other, me])
    assert starts(both) == at("10:00", "10:30")
    assert [each["actor"]["reference"] for each in proposals(both)[0]["participant"][:2]] == [other, me]
    mine = tenant.client("patient/*.rs", patient=me.removeprefix("Patient/"))
    assert starts(find(mine, DAY, DAY, practitioner=who)) == at("10:00", "10:30")
    assert find(mine, DAY, DAY, practitioner=who, patient_reference=other).status == 404


def test_conditions_on_the_patient(client: Client) -> None:
    _, who, _ = one(client, eligibility="birthDate <= today() - 18 years")
    child, adult = (make(client, "Patient", birthDate=date) for date in ("2020-01-01", "1980-01-01"))
    assert len(starts(find(client, DAY, DAY, practitioner=who, patient_reference=adult))) == 4
    assert len(starts(find(client, DAY, DAY, practitioner=who))) == 4
    answer = find(client, DAY, DAY, practitioner=who, patient_reference=child)
    assert starts(answer) == [] and notes(answer)[0] == "not-eligible"
    body = asked(start=DAY, end=DAY, practitioner={"reference": who})
    body["parameter"].append({"name": "patient-resource", "resource": {"resourceType": "Patient", "birthDate": "2021"}})
    assert starts(client.post("Appointment/$find", body)) == []


def test_who_pays(client: Client) -> None:
    payer, other = (make(client, "Organization", name=name) for name in ("Fund", "Other fund"))
    plan = make(client, "InsurancePlan", name="Plan", ownedBy={"reference": payer})
    _, who, _ = one(client)
    insured = {"url": "insurer", "valueReference": {"reference": payer}}
    offered = service(client, insured)
    agenda(client, who, rules(hours("15:00", "16:00", "mon"), of=offered))
    assert len(starts(find(client, DAY, DAY, practitioner=who, insurance_reference=plan))) == 6
    assert len(starts(find(client, DAY, DAY, practitioner=who, insurance_reference=other))) == 4


def test_what_proposals_carry(client: Client) -> None:
    _, who, _ = one(client)
    identifier = {"system": "urn:referrals", "value": f"R-{who}"}
    more = {"referral-identifier": identifier, "reason": "http://snomed.info/sct|386661006"}
    answer = client.post("Appointment/$find", asked(start=DAY, end=DAY, practitioner={"reference": who}, **more))
    first = proposals(answer)[0]
    assert first["basedOn"] == [{"type": "ServiceRequest", "identifier": identifier}]
    assert first["reasonCode"][0]["coding"] == [{"system": "http://snomed.info/sct", "code": "386661006"}]
    bare = client.get(f"Appointment/$find?start={DAY}&end={DAY}&practitioner={who}&reason=386661006")
    assert proposals(bare)[0]["reasonCode"][0]["coding"] == [{"code": "386661006"}]
    assert first["requestedPeriod"][0]["start"] == at("00:00")[0]
    assert notes(answer) == ["not-found"]
    patient = make(client, "Patient")
    referral = make(client, "ServiceRequest", status="active", intent="order", identifier=[identifier],
                    subject={"reference": patient})  # fmt: skip
    answer = client.post("Appointment/$find", asked(start=DAY, end=DAY, practitioner={"reference": who}, **more))
    assert proposals(answer)[0]["basedOn"] == [{"reference": referral, "identifier": identifier}]


def test_an_expired_hold_of_his_own_does_not_bar_a_patient(client: Client) -> None:
    _, who, _ = one(client)
    me, other = make(client, "Patient"), doctor(client)
    held = {"url": "urn:salam:StructureDefinition:hold-expires", "valueInstant": "2020-01-01T00:00:00Z"}
    make(client, "Appointment", status="pending", start=at("09:00")[0], end=at("09:30")[0], extension=[held],
         participant=[{"actor": {"reference": each}, "status": "needs-action"} for each in (me, other)])  # fmt: skip
    assert len(starts(find(client, DAY, DAY, practitioner=who, patient_reference=me))) == 4


def test_the_public_is_offered_only_what_can_be_booked_online(client: Client, tenant: TestTenant) -> None:
    public = tenant.client("system/Schedule.s")
    _, who, _ = one(client, onlineBooking=False)
    answer = find(public, DAY, DAY, practitioner=who)
    assert starts(answer) == [] and notes(answer)[0] == "not-bookable-online"
    assert len(starts(find(client, DAY, DAY, practitioner=who))) == 4


def test_who_may_ask(tenant: TestTenant) -> None:
    for scope in ("system/Slot.s", "system/Appointment.rs"):
        assert find(tenant.client(scope), DAY, DAY).status == 200
    assert find(tenant.client("system/Patient.cruds"), DAY, DAY).status == 403


def test_notice_advance_reserve_and_limits_bind_the_public(client: Client, tenant: TestTenant) -> None:
    public = tenant.client("system/Schedule.s")
    _, who, _ = one(client, reserve(1, 60), maxAdvance=60)
    assert starts(find(public, DAY, DAY, practitioner=who)) == at("09:00", "09:30", "10:00")
    assert len(starts(find(client, DAY, DAY, practitioner=who))) == 4
    far = coming("mon") + timedelta(days=70)
    answer = find(public, far.isoformat(), far.isoformat(), practitioner=who)
    assert starts(answer) == [] and notes(answer) == ["too-far"]
    _, other, _ = one(client, minNotice=60 * 24 * 30)
    assert starts(find(public, DAY, DAY, practitioner=other)) == []
    assert len(starts(find(client, DAY, DAY, practitioner=other))) == 4


def test_other_tenants_have_other_times(client: Client, new_tenant: Any) -> None:
    offered, who, schedule = one(client)
    elsewhere = new_tenant().client()
    for kind, name in (("HealthcareService", offered), ("Practitioner", who), ("Schedule", schedule)):
        assert elsewhere.put(name, client.get(name).json).status == 201, kind
    busy(elsewhere, schedule, *at("09:00", "10:00"))
    assert len(starts(find(client, DAY, DAY, practitioner=who))) == 4
    assert starts(find(elsewhere, DAY, DAY, practitioner=who)) == at("10:00", "10:30")
