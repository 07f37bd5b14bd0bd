"""What is told to whom when appointments and tickets change, and the last look before it is sent."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from fhir_server.features.notifications import occasions, preferences
from fhir_server.features.notifications.draft import Draft
from tests.conftest import TestTenant
from tests.features.notifications.clinic import Clinic, E, later, soon, text


@pytest.fixture
def clinic(new_tenant: Any) -> Clinic:
    tenant: TestTenant = new_tenant("Africa/Casablanca")
    made = Clinic(tenant)
    made.set(country="MA", language="fr", notifications={"quiet_from": "00:00", "quiet_until": "00:00"})
    return made


def look(clinic: Clinic, draft: Draft) -> Draft | None:
    ctx = clinic.context()
    with ctx.db.hold():
        found = occasions.still_wanted(ctx, draft)
    ctx.db.rollback()
    return found


def test_a_booking_is_confirmed_once_however_often_it_is_followed(clinic: Clinic) -> None:
    who = clinic.patient()
    clinic.visit(soon(3), who)
    clinic.follow()
    assert clinic.told() == [("confirmation", "in-app", who), ("confirmation", "sms", who)]
    (draft,) = clinic.drafts()
    assert (draft.address, draft.language) == ("+212612345678", "fr")
    assert "est confirmé" in draft.text
    clinic.follow(again=True)
    clinic.follow(again=True)
    assert len(clinic.told()) == 2 and len(clinic.planned()) == 2


def test_what_is_not_news(clinic: Clinic) -> None:
    who = clinic.patient()
    clinic.visit(soon(-2), who)
    clinic.visit(soon(-2), who, status="fulfilled")
    clinic.visit(soon(2), who, status="proposed")
    clinic.visit(soon(2), who, status="waitlist")
    hold = clinic.visit(soon(4), who, status="pending", extension=[{"url": f"{E}hold-expires", "valueInstant": text(soon(1))}])
    clinic.change(hold, status="cancelled")
    visit = clinic.visit(soon(5), who)
    clinic.follow()
    told = clinic.told()
    clinic.change(visit, comment="Parking behind the house")
    clinic.follow()
    assert clinic.told() == told == [("confirmation", "in-app", who), ("confirmation", "sms", who)]


def test_a_move_and_a_cancellation(clinic: Clinic) -> None:
    who = clinic.patient()
    visit = clinic.visit(soon(3), who)
    clinic.follow()
    visit = clinic.move(visit, soon(4))
    clinic.follow()
    (moved,) = clinic.drafts(kind="rescheduled")
    assert moved.facts["before"] == text(soon(3))
    visit = clinic.move(visit, soon(3))
    visit = clinic.move(visit, soon(4))
    clinic.follow()
    assert len(clinic.drafts(kind="rescheduled")) == 3, "each move is told, also one back"
    clinic.change(visit, status="cancelled")
    clinic.follow()
    assert len(clinic.drafts(kind="cancellation")) == 1
    # What was said before is not so any more.
    assert look(clinic, moved) is None
    assert all(look(clinic, draft) is None for draft in clinic.drafts(kind="confirmation"))
    assert look(clinic, clinic.drafts(kind="cancellation")[0]) is not None


def test_who_cancels_gets_no_sms_about_it(clinic: Clinic) -> None:
    who = clinic.patient(telecom=[{"system": "phone", "use": "mobile", "value": "+212612345678"}, {"system": "email", "value": "fatima@example.org"}])
    visit = clinic.visit(soon(3), who)
    reason = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason", "code": "pat"}]}
    clinic.change(visit, status="cancelled", cancelationReason=reason)
    other = clinic.visit(soon(4), who)
    clinic.change(other, status="cancelled")
    clinic.follow()
    assert [draft.channel for draft in clinic.drafts(kind="cancellation")] == ["email", "sms"]


def test_people_who_join_or_leave(clinic: Clinic) -> None:
    first, second = clinic.patient(), clinic.patient()
    visit = clinic.visit(soon(3), first)
    clinic.follow()
    clinic.change(visit, participant=[{"actor": {"reference": second}, "status": "accepted"}])
    clinic.follow()
    assert [(d.kind, d.recipient) for d in clinic.drafts()] == [("confirmation", first), ("confirmation", second), ("cancellation", first)]


def test_professionals_are_told_in_the_application(clinic: Clinic) -> None:
    who = clinic.patient()
    doctor = clinic.client.create({"resourceType": "Practitioner", "telecom": [{"system": "phone", "value": "+212612000000"}]})
    role = clinic.client.create({"resourceType": "PractitionerRole", "practitioner": {"reference": f"Practitioner/{doctor['id']}"}})
    visit = clinic.visit(soon(3), who, f"PractitionerRole/{role['id']}")
    clinic.move(visit, soon(4))
    clinic.follow()
    staff = [entry for entry in clinic.told() if entry[0] == "staff-change"]
    assert staff == [("staff-change", "in-app", f"Practitioner/{doctor['id']}")] * 2
    texts = [c["payload"][0]["contentString"] for c in clinic.client.search(f"Communication?recipient=Practitioner/{doctor['id']}")]
    assert any("Rendez-vous déplacé" in t or "avant" in t for t in texts)


def test_an_offer_to_the_waiting_list(clinic: Clinic) -> None:
    who = clinic.patient()
    wait = clinic.visit(soon(5), who, status="waitlist")
    hold = [{"url": f"{E}hold-expires", "valueInstant": text(soon(2))}]
    offer = clinic.visit(soon(3), who, status="pending", extension=hold, supportingInformation=[{"reference": f"Appointment/{wait['id']}"}])
    clinic.follow()
    (draft,) = clinic.drafts()
    assert draft.kind == "waitlist-offer" and draft.expires_at == soon(2)
    assert look(clinic, draft) is not None
    with later(timedelta(days=3)):
        assert look(clinic, draft) is None, "too late"
    offer.pop("extension")
    clinic.change(offer, status="booked")
    assert look(clinic, draft) is None, "taken"


def test_the_last_look_takes_what_is_so_now(clinic: Clinic) -> None:
    who = clinic.patient()
    clinic.visit(soon(3), who)
    clinic.follow()
    (draft,) = clinic.drafts()
    same = look(clinic, draft)
    assert same is not None and replace(same, not_before=draft.not_before) == draft
    person = clinic.client.get(who).json
    person = clinic.change(person, telecom=[{"system": "sms", "value": "+212 661 11 11 11"}], communication=[{"language": {"coding": [{"code": "ary"}]}}])
    renewed = look(clinic, draft)
    assert renewed is not None and renewed.address == "+212661111111" and renewed.language == "ar"
    assert "تم تأكيد موعدكم" in renewed.text
    ctx = clinic.context()
    with ctx.db.hold():
        preferences.stop(ctx, "+212661111111")
    ctx.db.commit()
    assert look(clinic, draft) is None
    ctx = clinic.context()
    with ctx.db.hold():
        preferences.start(ctx, "+212661111111")
    ctx.db.commit()
    assert look(clinic, draft) is not None
    clinic.change(person, deceasedDateTime="2026-01-01")
    assert look(clinic, draft) is None


def test_another_channel(clinic: Clinic) -> None:
    telecom = [{"system": "phone", "use": "mobile", "value": "+212612345678"}, {"system": "email", "value": "fatima@example.org"}]
    who = clinic.patient(telecom=telecom)
    clinic.set(notifications={"whatsapp_templates": {"confirmation.fr": "HX1"}, "quiet_from": "00:00", "quiet_until": "00:00"})
    clinic.visit(soon(3), who)
    clinic.follow()
    (draft,) = clinic.drafts()
    assert (draft.channel, draft.approved) == ("whatsapp", "HX1")
    assert draft.values["start_time"] == "11:00" and draft.values["clinic"] == clinic.tenant.slug
    ctx = clinic.context()
    with ctx.db.hold():
        sms = occasions.on_another_channel(ctx, draft, ["whatsapp"])
        mail = occasions.on_another_channel(ctx, draft, ["whatsapp", "sms"])
        none = occasions.on_another_channel(ctx, draft, ["whatsapp", "sms", "email"])
    ctx.db.rollback()
    assert sms is not None and (sms.channel, sms.occasion) == ("sms", draft.occasion)
    assert mail is not None and (mail.channel, mail.address) == ("email", "fatima@example.org") and mail.subject
    assert none is None


def test_who_was_taken_out_before_it_was_sent_is_not_told(clinic: Clinic) -> None:
    first, second = clinic.patient(), clinic.patient()
    visit = clinic.visit(soon(3), first)
    clinic.follow()
    (draft,) = clinic.drafts()
    clinic.change(visit, participant=[{"actor": {"reference": second}, "status": "accepted"}])
    clinic.follow()
    assert look(clinic, draft) is None
    assert [look(clinic, each) is not None for each in clinic.drafts()] == [False, True, True]


def test_the_hour_is_the_one_that_was_agreed_on(clinic: Clinic) -> None:
    parts = [{"url": "start", "valueString": f"{soon(3):%Y-%m-%dT%H:%M}"}, {"url": "timezone", "valueCode": "Asia/Dubai"}]
    clinic.visit(soon(3), clinic.patient(), extension=[{"url": f"{E}wall-time", "extension": parts}])
    clinic.visit(soon(4), clinic.patient())
    clinic.follow()
    assert ["à 14:00" in clinic.drafts()[0].text, "à 11:00" in clinic.drafts()[1].text] == [True, True]


def test_a_series_is_told_in_one_message(clinic: Clinic) -> None:
    who, doctor = clinic.patient(), clinic.client.create({"resourceType": "Practitioner"})
    series = [{"system": "urn:salam:series", "value": "s1"}]
    visits = [clinic.visit(soon(3 + 7 * week), who, f"Practitioner/{doctor['id']}", identifier=series) for week in (2, 0, 1)]
    clinic.visit(soon(4), who, identifier=[{"system": "urn:salam:series", "value": "s2"}])
    clinic.follow()
    first, other = clinic.drafts()
    assert first.about == f"Appointment/{visits[1]['id']}" and "Autres dates : 2." in first.text
    assert "Autres" not in other.text
    renewed = look(clinic, first)
    assert renewed is not None and renewed.text == first.text
    assert [entry[0] for entry in clinic.told()].count("staff-change") == 3
    assert len(clinic.planned()) == 8, "each has reminders of its own"
    for visit in visits:
        clinic.change(visit, status="cancelled")
    clinic.follow()
    assert len(clinic.drafts(kind="cancellation")) == 1


def test_a_child_is_told_through_its_parents(clinic: Clinic) -> None:
    child = clinic.patient(birthDate=text(soon(-365 * 7))[:10])
    mother = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH"}]}
    uncle = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "UNCLE"}]}
    make = lambda role, **more: clinic.client.create({"resourceType": "RelatedPerson", "patient": {"reference": child}, "relationship": [role], "telecom": [{"system": "phone", "use": "mobile", "value": "+212611111111"}], **more})  # noqa: E731
    parent = make(mother)
    make(uncle)
    make(mother, active=False)
    clinic.visit(soon(3), child)
    lone = clinic.patient(birthDate=text(soon(-365 * 7))[:10])
    clinic.visit(soon(4), lone)
    clinic.follow()
    assert [draft.recipient for draft in clinic.drafts()] == [f"RelatedPerson/{parent['id']}", lone]


def test_quiet_hours_delay_what_can_wait(clinic: Clinic) -> None:
    who = clinic.patient(telecom=[{"system": "phone", "use": "mobile", "value": "+212612345678"}])
    now = clinic.context().now
    # Quiet from an hour ago to an hour ahead, on the wall clock in Dakar.
    quiet = {"quiet_from": f"{now - timedelta(hours=1):%H:%M}", "quiet_until": f"{now + timedelta(hours=1):%H:%M}"}
    clinic.set(notifications=quiet)
    zone = [{"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "Africa/Dakar"}]
    abroad = clinic.patient(extension=zone)
    clinic.visit(soon(3), who, abroad)
    clinic.follow()
    starts = {draft.recipient: draft.not_before for draft in clinic.drafts()}
    assert starts[abroad] > now + timedelta(minutes=58)
    night = look(clinic, clinic.drafts(recipient=abroad)[0])
    assert night is not None and night.not_before == starts[abroad]


def test_addresses_that_are_none(clinic: Clinic) -> None:
    for telecom in (
        [{"system": "phone", "value": "0522 00 00 00"}, {"system": "phone", "use": "old", "value": "+212612345678"}],
        [{"system": "phone", "use": "mobile", "value": "12345"}, {"system": "phone", "use": "mobile", "value": "call me"}],
        [{"system": "sms", "value": "+212612345678", "period": {"end": "2020-01-01"}}, {"system": "email", "value": "a b@c"}],
    ):
        clinic.visit(soon(3, 8 + len(str(telecom)) % 9), clinic.patient(telecom=telecom))
    clinic.follow()
    assert clinic.drafts() == []
    assert {entry[1] for entry in clinic.told()} == {"in-app"}


def test_a_tenants_own_text(clinic: Clinic) -> None:
    parts = [{"url": "language", "valueCode": "wo"}, {"url": "channel", "valueCode": "sms"}, {"url": "body", "valueString": "Sa rendez-vous : {{ start|date }} {{ start|time }} {{ practitioner }}"}]
    clinic.client.create({
        "resourceType": "ActivityDefinition", "status": "active", "kind": "CommunicationRequest",
        "code": {"coding": [{"system": "urn:salam:CodeSystem:message-kind", "code": "confirmation"}]},
        "extension": [{"url": f"{E}message-text", "extension": parts}],
    })  # fmt: skip
    who = clinic.patient(communication=[{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "wo"}]}, "preferred": True}])
    clinic.visit(soon(3, 9), who)
    clinic.follow()
    (draft,) = clinic.drafts()
    assert draft.language == "wo" and draft.text.startswith("Sa rendez-vous")
