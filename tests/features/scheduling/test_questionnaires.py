"""Questionnaires before a visit: what clients may store, what blocks a booking, and what the last answer does."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import Practice, detail, in_days, matched, slots_of
from tests.features.scheduling.worker import catch_up

Json = dict[str, Any]
URL = "urn:test:questionnaire:anaesthesia"
FOR = "urn:salam:StructureDefinition:response-appointment"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
RESTRICTED = {"system": CONFIDENTIALITY, "code": "R"}


@pytest.fixture
def home(new_tenant: Callable[[], TestTenant]) -> TestTenant:
    tenant = new_tenant()
    catch_up(tenant.slug)
    return tenant


@pytest.fixture
def staff(home: TestTenant) -> Client:
    return home.client()


def questionnaire(staff: Client, **more: Any) -> Json:
    yes = [{"question": "allergic", "operator": "=", "answerBoolean": True}]
    return staff.create(
        {
            "resourceType": "Questionnaire",
            "url": URL,
            "status": "active",
            "item": [
                {"linkId": "allergic", "type": "boolean", "required": True},
                {"linkId": "what", "type": "string", "required": True, "enableWhen": yes},
            ],
        }
        | more
    )


def response(patient: str | None, *items: Json, status: str = "completed", **more: Any) -> Json:
    resource: Json = {"resourceType": "QuestionnaireResponse", "questionnaire": URL, "status": status}
    resource |= {"subject": {"reference": patient}} if patient else {}
    return resource | ({"item": list(items)} if items else {}) | more


def item(link: str, **value: Any) -> Json:
    return {"linkId": link, "answer": [value]}


NO, YES = item("allergic", valueBoolean=False), item("allergic", valueBoolean=True)


def needing(staff: Client, **rules: Any) -> Practice:
    """A practice whose service asks the questionnaire first."""
    questionnaire(staff)
    return Practice(staff, {"asks": [{"url": "questionnaire", "valueCanonical": URL}], **rules})


# -- what clients store ------------------------------------------------------------------------------------------------


def places(answer: Answer) -> list[str]:
    assert answer.status == 422, answer.text
    return [issue["expression"][0] for issue in answer.issues]


def test_completed_answers_must_be_complete(staff: Client) -> None:
    questionnaire(staff)
    assert places(staff.post("QuestionnaireResponse", response(None))) == ["QuestionnaireResponse"]
    assert places(staff.post("QuestionnaireResponse", response(None, YES))) == ["QuestionnaireResponse"]
    wrong = response(None, YES, item("what", valueBoolean=True))
    assert places(staff.post("QuestionnaireResponse", wrong)) == [
        "QuestionnaireResponse.item[1].answer[0].valueBoolean"
    ]
    assert staff.post("QuestionnaireResponse", response(None, NO)).status == 201
    draft = staff.post("QuestionnaireResponse", response(None, YES, status="in-progress"))
    assert draft.status == 201
    done = draft.json | {"status": "completed"}
    assert places(staff.put(f"QuestionnaireResponse/{draft.id}", done)) == ["QuestionnaireResponse"]
    assert staff.delete(f"QuestionnaireResponse/{draft.id}").status == 204


def test_in_bundles_too(staff: Client) -> None:
    questionnaire(staff)
    entry = {"resource": response(None), "request": {"method": "POST", "url": "QuestionnaireResponse"}}
    answer = staff.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status == 422
    assert answer.issues[0]["expression"][0].startswith("Bundle.entry[0].resource")
    assert staff.search("QuestionnaireResponse") == []


def test_what_is_not_stored_here_cannot_be_checked(staff: Client) -> None:
    assert staff.post("QuestionnaireResponse", response(None)).status == 201
    without = response(None)
    del without["questionnaire"]
    assert staff.post("QuestionnaireResponse", without).status == 201


def test_by_reference_and_by_version(staff: Client) -> None:
    made = questionnaire(staff, version="1")
    questionnaire(staff, version="2", item=[{"linkId": "other", "type": "string", "required": True}])
    local = response(None, questionnaire=f"Questionnaire/{made['id']}")
    assert places(staff.post("QuestionnaireResponse", local)) == ["QuestionnaireResponse"]
    assert staff.post("QuestionnaireResponse", response(None, NO, questionnaire=f"{URL}|1")).status == 201
    second = staff.post("QuestionnaireResponse", response(None, NO, questionnaire=f"{URL}|2"))
    assert "QuestionnaireResponse.item[0].linkId" in places(second)


def test_answers_are_as_confidential_as_their_questionnaire(staff: Client) -> None:
    questionnaire(staff, meta={"security": [RESTRICTED]})
    bare = staff.post("QuestionnaireResponse", response(None, NO))
    assert places(bare) == ["QuestionnaireResponse.meta.security"]
    assert "R" in bare.issues[0]["details"]["text"]
    for label in (RESTRICTED, {"system": CONFIDENTIALITY, "code": "V"}):
        assert staff.post("QuestionnaireResponse", response(None, NO, meta={"security": [label]})).status == 201


# -- what blocks a booking ---------------------------------------------------------------------------------------------


def test_without_answers_a_visit_is_only_pending_and_the_last_answer_books_it(staff: Client, home: TestTenant) -> None:
    practice = needing(staff)
    patient = practice.patient()
    visit = practice.booked(patient, in_days())
    assert visit["status"] == "pending"
    refused = staff.post(f"Appointment/{visit['id']}/$confirm", None)
    assert (refused.status, detail(refused)) == (422, "questionnaire-missing")
    link = {"url": FOR, "valueReference": {"reference": f"Appointment/{visit['id']}"}}
    me = home.client("patient/*.cruds", patient=patient.removeprefix("Patient/"))
    draft = me.post("QuestionnaireResponse", response(patient, YES, status="in-progress", extension=[link]))
    catch_up(home.slug)
    assert staff.get(f"Appointment/{visit['id']}").json["status"] == "pending"
    done = draft.json | {"status": "completed", "item": [YES, item("what", valueString="latex")]}
    assert me.put(f"QuestionnaireResponse/{draft.id}", done).status == 200
    catch_up(home.slug)
    booked = staff.get(f"Appointment/{visit['id']}").json
    assert booked["status"] == "booked"
    assert {each["status"] for each in booked["participant"]} == {"accepted"}
    assert {slot["status"] for slot in slots_of(staff, booked)} == {"busy"}


def test_answers_that_the_appointment_names_count_too(staff: Client, home: TestTenant) -> None:
    practice = needing(staff)
    patient = practice.patient()
    answers = staff.create(response(patient, NO))
    visit = practice.booked(patient, in_days())
    assert visit["status"] == "pending"
    named = visit | {"supportingInformation": [{"reference": f"QuestionnaireResponse/{answers['id']}"}]}
    assert staff.put(f"Appointment/{visit['id']}", named).status == 200
    catch_up(home.slug)
    assert staff.get(f"Appointment/{visit['id']}").json["status"] == "booked"
    ready = practice.book(
        patient, in_days(15), supportingInformation=[{"reference": f"QuestionnaireResponse/{answers['id']}"}]
    )
    assert matched(ready)["status"] == "booked"


def test_answers_of_another_or_for_another_visit_do_not_count(staff: Client, home: TestTenant) -> None:
    practice = needing(staff)
    patient, other = practice.patient(), practice.patient()
    visit = practice.booked(patient, in_days())
    elsewhere = practice.booked(other, in_days(15))
    link = {"url": FOR, "valueReference": {"reference": f"Appointment/{visit['id']}"}}
    staff.create(response(other, NO, extension=[link]))
    staff.create(response(patient, NO))
    link = {"url": FOR, "valueReference": {"reference": f"Appointment/{elsewhere['id']}"}}
    staff.create(response(patient, NO, extension=[link]))
    catch_up(home.slug)
    assert staff.get(f"Appointment/{visit['id']}").json["status"] == "pending"
    assert staff.get(f"Appointment/{elsewhere['id']}").json["status"] == "pending"


def test_what_waits_for_the_clinic_too_is_not_booked_by_answers(staff: Client, home: TestTenant) -> None:
    practice = needing(staff, requiresConfirmation=True)
    patient = practice.patient()
    visit = practice.booked(patient, in_days())
    link = {"url": FOR, "valueReference": {"reference": f"Appointment/{visit['id']}"}}
    staff.create(response(patient, NO, extension=[link]))
    catch_up(home.slug)
    assert staff.get(f"Appointment/{visit['id']}").json["status"] == "pending"
    assert matched(staff.post(f"Appointment/{visit['id']}/$confirm", None))["status"] == "booked"


def test_a_cancelled_visit_stays_cancelled(staff: Client, home: TestTenant) -> None:
    practice = needing(staff)
    patient = practice.patient()
    visit = practice.booked(patient, in_days())
    assert staff.post(f"Appointment/{visit['id']}/$cancel", None).status == 200
    link = {"url": FOR, "valueReference": {"reference": f"Appointment/{visit['id']}"}}
    staff.create(response(patient, NO, extension=[link]))
    catch_up(home.slug)
    assert staff.get(f"Appointment/{visit['id']}").json["status"] == "cancelled"
