"""What the mode `tag` keeps although R4 requires more of it is shown like everything else, and breaks no page."""

from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.validation.modes import WITH_GAPS
from tests.ui.conftest import Demo, Person

PATIENT = "demo-0001"
PAGES = ("", "home", "results", "record", "documents", "consents", "access")


def bare(resource_type: str) -> dict[str, Any]:
    """A resource of which only is known whom it is about."""
    elements = base_registry().structures[resource_type].elements
    about = "subject" if "subject" in elements else "patient"
    return {"resourceType": resource_type, about: {"reference": f"Patient/{PATIENT}"}}


def gappy(resource_type: str) -> Iterator[dict[str, Any]]:
    """The resource with each of its parts in turn, in which nothing stands that R4 requires."""
    for name, structure in base_registry().structures.items():
        steps = name.split(".")[1:]
        if name.startswith(f"{resource_type}.") and any(element.min for element in structure.elements.values()):
            part: dict[str, Any] = {"extension": [{"url": "urn:x", "valueString": "x"}]}
            for depth in range(len(steps), 0, -1):
                outer = base_registry().structures[".".join([resource_type, *steps[: depth - 1]])]
                step = steps[depth - 1]
                part = {step: [part] if outer.elements[step].max != 1 else part}
            yield {**bare(resource_type), **part}


def policy(clinic: Demo, mode: str | None) -> None:
    """What the clinic does with data of these types that breaks rules."""
    for name in WITH_GAPS:
        parameters = [{"name": "type", "valueCode": name}, *([{"name": "mode", "valueCode": mode}] if mode else [])]
        answer = clinic.client().post("$change-validation-policy", {"resourceType": "Parameters", "parameter": parameters})
        assert answer.status == 200, answer.text


@pytest.fixture(scope="module")
def kept(clinic: Demo) -> Iterator[list[str]]:
    """One of each type, bare, about a patient of the clinic."""
    policy(clinic, "tag")
    order = clinic.client().create({**bare("ServiceRequest"), "status": "active", "intent": "order", "code": {"text": "Sodium"}})
    result = {"basedOn": [{"reference": f"ServiceRequest/{order['id']}"}]}
    made = [clinic.client().create(bare(name)) for name in sorted(WITH_GAPS)]
    made += [clinic.client().create({"resourceType": name, "language": "fr"}) for name in sorted(WITH_GAPS)]
    made += [clinic.client().create(each) for name in sorted(WITH_GAPS) for each in gappy(name)]
    made += [clinic.client().create({**bare("Observation"), **result}), order]
    names = [f"{each['resourceType']}/{each['id']}" for each in made]
    yield names
    for name in names:
        clinic.client().request("DELETE", name)
    policy(clinic, None)


def test_every_one_is_held_found_and_given_back(clinic: Demo, kept: list[str]) -> None:
    client = clinic.client()
    assert len(kept) == 2 * len(WITH_GAPS) + 15 + 2
    for name in kept:
        kind, _, id_ = name.partition("/")
        read = client.get(name)
        tags = [tag["code"] for tag in read.json["meta"].get("tag", ())]
        assert client.get(name, accept="application/fhir+xml").status == 200
        about = "" if "language" in read.json else f"&patient=Patient/{PATIENT}"
        assert [each["id"] for each in client.search(f"{kind}?_id={id_}{about}")] == [id_]
        wrong = "error" in {issue["severity"] for issue in client.get(f"{name}/$validate").issues}
        assert tags == (["invalid"] if wrong else []), name
        assert client.request("PUT", name, read.json).json["meta"]["versionId"] == "1"
    assert client.get(f"Patient/{PATIENT}/$everything?_count=200").status == 200


def test_the_record_shows_them(kept: list[str], doctor: Person) -> None:
    assert doctor.get(f"doctor/patient/{PATIENT}").status_code == 200
    forms = ("diagnosis", "allergy", "vitals", "prescription", "note", "order", "document", "vaccination", "trends")
    for form in forms:
        assert doctor.get(f"doctor/patient/{PATIENT}?work={form}").status_code in (200, 404), form


def test_the_patient_s_own_pages_show_them(clinic: Demo, kept: list[str]) -> None:
    patient = clinic.person("patient")
    for page in PAGES:
        assert patient.get(f"portal/{page}").status_code in (200, 302, 303, 404), page


def test_gaps_in_parts_are_told_where_they_are(clinic: Demo, kept: list[str]) -> None:
    parts = {**bare("Observation"), "status": "final", "code": {"text": "x"}, "component": [{"valueString": "x"}]}
    told = clinic.client().create(parts)["meta"]["extension"][0]["extension"]
    assert {"url": "expression", "valueString": "Observation.component[0].code"} in told


def test_gaps_in_values_are_refused(clinic: Demo, kept: list[str]) -> None:
    """A note without text is no note: data types are whole, whatever they stand in."""
    refused = clinic.client().post("Observation", {**bare("Observation"), "note": [{"time": "2020-01-01"}]})
    assert refused.status == 422 and ["Observation.note[0].text"] in [issue["expression"] for issue in refused.issues]


def test_gaps_of_what_features_rely_on_are_refused(clinic: Demo, kept: list[str]) -> None:
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": "Task"}]}
    mode = {"name": "mode", "valueCode": "tag"}
    changed = {**parameters, "parameter": [*parameters["parameter"], mode]}
    assert clinic.client().post("$change-validation-policy", changed).status == 200
    assert clinic.client().post("Task", {"resourceType": "Task"}).status == 422
    assert clinic.client().post("$change-validation-policy", parameters).status == 200
