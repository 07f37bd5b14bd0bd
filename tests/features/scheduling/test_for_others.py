"""Booking by people with accounts: for a relative, for one of several, and as staff."""

from typing import TYPE_CHECKING, Any

from fhir_server.core.context import Principal, User
from fhir_server.core.messages import FhirRequest
from fhir_server.core.resource_json import decode, encode
from fhir_server.rest.dispatch import handle
from fhir_server.security.scopes import parse_scopes
from tests.client import Client
from tests.features.scheduling.clinic_day import Practice, body, in_days, named
from tests.rest.bodies import mark

if TYPE_CHECKING:
    from tests.conftest import TestTenant

PATIENT = "patient/*.rs patient/Appointment.cru"
STAFF = "user/*.rs user/Appointment.cru user/Patient.cru"


def ask(client: Client, user: User, scope: str, path: str, sent: dict[str, Any], patient: str | None = None) -> Any:
    """An operation called by somebody with an account: (status, body)."""
    principal = Principal("portal", parse_scopes(scope), None, user=user, patient=patient)
    headers = {"content-type": "application/fhir+json"}
    request = FhirRequest("POST", path, [], headers, encode(sent), client.base)
    answer = handle(request, client.slug, principal=principal)
    return answer.status, decode(answer.body or b"null")


def actors(answer: dict[str, Any]) -> set[str]:
    return {each["actor"]["reference"] for each in answer["entry"][0]["resource"]["participant"]}


def id_of(reference: str) -> str:
    return reference.split("/")[1]


def test_a_relative_books_and_takes_part(client: Client, practice: Practice) -> None:
    child = practice.patient()
    mother = client.create({"resourceType": "RelatedPerson", "patient": {"reference": child}})["id"]
    user = User(mark(), "proxy", f"RelatedPerson/{mother}", (id_of(child),))
    proposal = practice.proposal(in_days(2))["id"]
    status, booked = ask(client, user, PATIENT, "Appointment/$book", named(proposal), id_of(child))
    assert status == 200, booked
    assert {child, f"RelatedPerson/{mother}"} <= actors(booked)


def test_one_who_acts_for_several_says_for_whom(client: Client, practice: Practice) -> None:
    one, two, stranger = practice.patient(), practice.patient(), practice.patient()
    user = User(mark(), "proxy", None, (id_of(one), id_of(two)))
    for index, who in enumerate((one, two)):
        sent = {"resourceType": "Patient", "id": id_of(who)}
        proposal = practice.proposal(in_days(3 + index))["id"]
        status, booked = ask(
            client, user, PATIENT, "Appointment/$book", named(proposal, patient_resource=sent), id_of(who)
        )
        assert status == 200, booked
        assert who in actors(booked)
    sent = {"resourceType": "Patient", "id": id_of(stranger)}
    proposal = practice.proposal(in_days(5))["id"]
    status, refused = ask(
        client, user, PATIENT, "Appointment/$book", named(proposal, patient_resource=sent), id_of(one)
    )
    assert status in (403, 422), refused


def test_a_clerk_books_for_a_caller_whom_he_registers(client: Client, practice: Practice) -> None:
    clerk = User(mark(), "receptionist", None)
    proposal = practice.proposal(in_days(6))["id"]
    status, held = ask(client, clerk, STAFF, "Appointment/$hold", named(proposal))
    assert status == 200, held
    new = {"resourceType": "Patient", "name": [{"family": "Ndiaye"}]}
    held_id = held["entry"][0]["resource"]["id"]
    status, booked = ask(client, clerk, STAFF, "Appointment/$book", named(held_id, patient_resource=new))
    assert status == 200, booked
    assert any(each.startswith("Patient/") for each in actors(booked))
    status, answer = ask(client, clerk, STAFF, f"Appointment/{held_id}/$cancel", body(reason={"text": "Called off"}))
    assert status == 200, answer


def test_what_one_clerk_holds_another_may_book(client: Client, practice: Practice) -> None:
    one, two = User(mark(), "receptionist", None), User(mark(), "receptionist", None)
    status, held = ask(client, one, STAFF, "Appointment/$hold", named(practice.proposal(in_days(7))["id"]))
    assert status == 200, held
    sent = {"resourceType": "Patient", "id": id_of(practice.patient())}
    held_id = held["entry"][0]["resource"]["id"]
    status, booked = ask(client, two, STAFF, "Appointment/$book", named(held_id, patient_resource=sent))
    assert status == 200, booked


def test_who_only_reads_books_nothing(client: Client, practice: Practice, tenant: "TestTenant") -> None:
    reader = tenant.client("system/*.rs")
    proposal = practice.proposal(in_days(8))["id"]
    sent = {"resourceType": "Patient", "id": id_of(practice.patient())}
    for operation in ("$hold", "$book"):
        more = {} if operation == "$hold" else {"patient_resource": sent}
        answer = reader.post(f"Appointment/{operation}", named(proposal, **more))
        assert answer.status == 403, answer.text
    booked = practice.booked(practice.patient(), in_days(9))
    for operation in ("$cancel", "$confirm", "$decline"):
        assert reader.post(f"Appointment/{booked['id']}/{operation}", {"resourceType": "Parameters"}).status == 403
