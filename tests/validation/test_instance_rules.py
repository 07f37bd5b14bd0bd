"""Rules of R4's text that no invariant states: Bundles, attachments, contained resources, urns. A good row and bad ones
for each."""

import copy
from base64 import b64encode
from hashlib import sha1
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import Unprocessable
from fhir_server.validation.run import check, validate

Json = dict[str, Any]
UUID = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
OTHER = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"
THIRD = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e2"
SERVER = "http://fhir.example.org/r4/"
PATIENT: Json = {"resourceType": "Patient", "id": "p"}


def observation(subject: str, **more: Any) -> Json:
    code = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
    found = {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": subject}}
    return {**found, **more}


def composition(subject: str, *entries: str, **more: Any) -> Json:
    found: Json = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "Letter"},
        "date": "2020-01-01",
        "title": "Letter",
        "subject": {"reference": subject},
        "author": [{"display": "Dr X"}],
    }
    if entries:
        text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
        found["section"] = [{"text": text, "entry": [{"reference": each} for each in entries]}]
    return {**found, **more}


def bundle(kind: str, *entries: Json, **more: Any) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **more}


def entry(url: str | None, resource: Json, **more: Any) -> Json:
    return {**({"fullUrl": url} if url else {}), "resource": resource, **more}


def document(*entries: Json, **more: Any) -> Json:
    identifier = {"system": "urn:ietf:rfc:3986", "value": UUID}
    return bundle("document", *entries, identifier=identifier, timestamp="2020-01-01T00:00:00Z", **more)


def message(*entries: Json, focus: str = OTHER) -> Json:
    header = {
        "resourceType": "MessageHeader",
        "eventUri": "urn:event",
        "source": {"endpoint": "urn:endpoint"},
        "focus": [{"reference": focus}],
    }
    return bundle("message", entry(UUID, header), *entries)


def request(method: str, url: str) -> Json:
    return {"request": {"method": method, "url": url}}


def found(resource: Json) -> set[tuple[str | None, str | None]]:
    """(place, rule) of every error."""
    try:
        validate(base_registry(), resource)
    except Unprocessable as error:
        return {(issue.expression, issue.rule) for issue in error.issues}
    return set()


GOOD: list[tuple[str, Json]] = [
    ("urls of urns and servers", bundle("collection", entry(UUID, PATIENT), entry(SERVER + "Patient/p", PATIENT))),
    ("a url without Type and id", bundle("collection", entry("http://example.org/one", PATIENT))),
    ("a reference by urn", bundle("collection", entry(UUID, PATIENT), entry(OTHER, observation(UUID)))),
    ("a reference to elsewhere", bundle("collection", entry(OTHER, observation(SERVER + "Patient/x")))),
    ("a document", document(entry(UUID, composition(OTHER, THIRD)), entry(OTHER, PATIENT), entry(THIRD, observation(OTHER)))),
    ("relative references in a document",
     document(entry(SERVER + "Composition/c", composition("Patient/p", id="c")), entry(SERVER + "Patient/p", PATIENT))),
    ("a version of an entry in a document",
     document(entry(SERVER + "Composition/c", composition("Patient/p/_history/3", id="c")),
              entry(SERVER + "Patient/p", PATIENT))),
    ("an entry that points to the document",
     document(entry(UUID, composition(OTHER)), entry(OTHER, PATIENT),
              entry(THIRD, {"resourceType": "Provenance", "target": [{"reference": UUID}],
                            "recorded": "2020-01-01T00:00:00Z", "agent": [{"who": {"reference": OTHER}}]}))),
    ("a stylesheet in a document",
     document(entry(UUID, composition(OTHER)), entry(OTHER, PATIENT),
              entry(THIRD, {"resourceType": "Binary", "contentType": "text/css"}))),
    ("what a document replaces is elsewhere",
     document(entry(UUID, composition(OTHER, relatesTo=[
         {"code": "replaces", "targetReference": {"reference": "Composition/before"}}])), entry(OTHER, PATIENT))),
    ("a message", message(entry(OTHER, PATIENT))),
    ("a transaction",
     bundle("transaction", entry(UUID, {"resourceType": "Patient"}, **request("POST", "Patient")),
            entry(None, PATIENT, **request("PUT", "Patient/p")),
            entry(None, {"resourceType": "Patient"}, **request("PUT", "Patient?identifier=1")),
            request("DELETE", "Patient/p"), request("GET", "Patient?name=x"))),
    ("responses", bundle("batch-response", {"response": {"status": "201 Created"}}, {"response": {"status": "404"}})),
    ("an outcome of a search",
     bundle("searchset", entry(None, PATIENT, search={"mode": "match"}),
            entry(None, {"resourceType": "OperationOutcome",
                         "issue": [{"severity": "warning", "code": "processing"}]}, search={"mode": "outcome"}))),
    ("data with size and hash",
     {**PATIENT, "photo": [{"contentType": "image/png", "data": b64encode(b"abc").decode(), "size": 3,
                            "hash": b64encode(sha1(b"abc").digest()).decode()}]}),
    ("data in lines", {"resourceType": "Binary", "contentType": "text/plain", "data": "YWJj\nYWI="}),
    ("size and hash of what is elsewhere",
     {**PATIENT, "photo": [{"contentType": "image/png", "url": "http://example.org/x", "size": 9, "hash": "YWJj"}]}),
    ("two contained resources",
     {**PATIENT, "contained": [{"resourceType": "Organization", "id": "a", "name": "A"},
                               {"resourceType": "Organization", "id": "b", "name": "B"}],
      "managingOrganization": {"reference": "#a"}, "generalPractitioner": [{"reference": "#b"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "resource"), GOOD, ids=[row[0] for row in GOOD])
def test_good(what: str, resource: Json) -> None:
    assert found(resource) == set()


BAD: list[tuple[str, Json, str, str]] = [
    ("a relative url", bundle("collection", entry("Patient/p", PATIENT)), "Bundle.entry[0].fullUrl", "bundle-url"),
    ("a urn that is no UUID", bundle("collection", entry("urn:uuid:1", PATIENT)), "Bundle.entry[0].fullUrl", "bundle-url"),
    ("a urn that is no OID", bundle("collection", entry("urn:oid:9.1", PATIENT)), "Bundle.entry[0].fullUrl", "bundle-url"),
    ("another id than the url's", bundle("collection", entry(SERVER + "Patient/q", PATIENT)),
     "Bundle.entry[0].fullUrl", "bundle-url-id"),
    ("another type than the url's", bundle("collection", entry(SERVER + "Person/p", PATIENT)),
     "Bundle.entry[0].fullUrl", "bundle-url-id"),
    ("one url twice", bundle("collection", entry(UUID, PATIENT), entry(UUID, PATIENT)), "Bundle", "bdl-7"),
    ("a urn that leads nowhere", bundle("collection", entry(UUID, observation(OTHER))),
     "Bundle.entry[0].resource.subject.reference", "bundle-reference"),
    ("a document without its subject", document(entry(UUID, composition("Patient/p"))),
     "Bundle.entry[0].resource.subject.reference", "bundle-incomplete"),
    ("a document without a section's entry", document(entry(UUID, composition(OTHER, SERVER + "List/1")), entry(OTHER, PATIENT)),
     "Bundle.entry[0].resource.section[0].entry[0].reference", "bundle-incomplete"),
    ("a relative reference on another server",
     document(entry(SERVER + "Composition/c", composition("Patient/p", id="c")),
              entry("http://other.example.org/Patient/p", PATIENT)),
     "Bundle.entry[0].resource.subject.reference", "bundle-incomplete"),
    ("what a document has nothing to do with",
     document(entry(UUID, composition(OTHER)), entry(OTHER, PATIENT), entry(THIRD, {"resourceType": "Device"})),
     "Bundle.entry[2]", "bundle-unlinked"),
    ("a document that does not begin with its Composition", document(entry(OTHER, PATIENT)), "Bundle", "bdl-11"),
    ("a document without identifier",
     {**bundle("document", entry(UUID, composition(OTHER)), entry(OTHER, PATIENT)), "timestamp": "2020-01-01T00:00:00Z"},
     "Bundle", "bdl-9"),
    ("a document without time",
     {**bundle("document", entry(UUID, composition(OTHER)), entry(OTHER, PATIENT)),
      "identifier": {"system": "urn:ietf:rfc:3986", "value": UUID}}, "Bundle", "bdl-10"),
    ("a message without header", bundle("message", entry(UUID, PATIENT)), "Bundle", "bdl-12"),
    ("a message without its focus", message(entry(THIRD, PATIENT), focus="Patient/q"),
     "Bundle.entry[0].resource.focus[0].reference", "bundle-incomplete"),
    ("a POST of nothing", bundle("transaction", request("POST", "Patient")), "Bundle.entry[0].resource", "bundle-request"),
    ("a PUT elsewhere", bundle("transaction", entry(None, PATIENT, **request("PUT", "Patient/q"))),
     "Bundle.entry[0].request.url", "bundle-request"),
    ("a conditional PUT of another type", bundle("batch", entry(None, PATIENT, **request("PUT", "Person?name=x"))),
     "Bundle.entry[0].request.url", "bundle-request"),
    ("a status in words", bundle("batch-response", {"response": {"status": "Created"}}),
     "Bundle.entry[0].response.status", "bundle-response"),
    ("an outcome that is none", bundle("searchset", entry(None, PATIENT, search={"mode": "outcome"})),
     "Bundle.entry[0].resource", "bundle-search"),
    ("a wrong size", {**PATIENT, "photo": [{"contentType": "image/png", "data": "YWJj", "size": 4}]},
     "Patient.photo[0].size", "attachment-size"),
    ("a wrong hash", {**PATIENT, "photo": [{"contentType": "image/png", "data": "YWJj", "hash": "YWJj"}]},
     "Patient.photo[0].hash", "attachment-hash"),
    ("data without contentType", {**PATIENT, "photo": [{"data": "YWJj"}]}, "Patient.photo[0]", "att-1"),
    ("base64 that is cut off", {**PATIENT, "photo": [{"contentType": "image/png", "data": "YWJjYW"}]},
     "Patient.photo[0].data", "base64"),
    ("base64 of a Binary that is cut off", {"resourceType": "Binary", "contentType": "text/plain", "data": "YWJ"},
     "Binary.data", "base64"),
    ("one contained id twice",
     {**PATIENT, "contained": [{"resourceType": "Organization", "id": "a", "name": "A"}] * 2,
      "managingOrganization": {"reference": "#a"}}, "Patient.contained[1].id", "contained-id"),
    ("contained in contained",
     {**PATIENT, "contained": [{"resourceType": "Organization", "id": "a", "contained": [
         {"resourceType": "Organization", "id": "b", "name": "B"}], "partOf": {"reference": "#b"}}],
      "managingOrganization": {"reference": "#a"}}, "Patient", "dom-2"),
    ("a version of a contained resource",
     {**PATIENT, "contained": [{"resourceType": "Organization", "id": "a", "name": "A", "meta": {"versionId": "1"}}],
      "managingOrganization": {"reference": "#a"}}, "Patient", "dom-4"),
    ("a label on a contained resource",
     {**PATIENT, "contained": [{"resourceType": "Organization", "id": "a", "name": "A",
                                "meta": {"security": [{"code": "R"}]}}],
      "managingOrganization": {"reference": "#a"}}, "Patient", "dom-5"),
    ("a period that ends before it begins", {**PATIENT, "name": [{"period": {"start": "2021", "end": "2020"}}]},
     "Patient.name[0].period", "per-1"),
    ("a unit's code without system", observation("Patient/p", valueQuantity={"value": 1, "code": "kg"}),
     "Observation.value", "qty-3"),
    ("a link that acts",
     {**PATIENT, "text": {"status": "generated",
                          "div": '<div xmlns="http://www.w3.org/1999/xhtml">\n<a href="javascript:x()">x</a></div>'}},
     "Patient.text.div", "txt-1"),
    ("a type that the reference is not to", observation("Patient/p") | {"subject": {"reference": "Patient/p", "type": "Group"}},
     "Observation.subject.reference", "reference-type"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "resource", "place", "rule"), BAD, ids=[row[0] for row in BAD])
def test_bad(what: str, resource: Json, place: str, rule: str) -> None:
    assert (place, rule) in found(resource)


def test_every_error_has_the_key_of_its_rule() -> None:
    for _, resource, _, _ in BAD:
        assert all(rule for _, rule in found(resource))
    spoiled = {**PATIENT, "surname": "x", "gender": "x", "birthDate": "x", "photo": {}, "communication": [{}]}
    assert {rule for _, rule in found(spoiled)} == {
        f"http://hl7.org/fhir/StructureDefinition/Patient#{path}"
        for path in ("Patient", "Patient.gender", "Patient.birthDate", "Patient.photo", "Patient.communication")
    } | {"http://hl7.org/fhir/StructureDefinition/Patient#Patient.communication.language"}


def test_the_narratives_fault_is_named_with_its_line() -> None:
    resource = next(resource for what, resource, _, _ in BAD if what == "a link that acts")
    with pytest.raises(Unprocessable) as caught:
        validate(base_registry(), resource)
    assert "<a>" in caught.value.issues[0].text
    assert "line 2" in caught.value.issues[0].text


REMARKS: list[tuple[str, Json, str, str]] = [
    ("a code without system", observation("Patient/p", code={"coding": [{"code": "x"}]}),
     "Observation.code.coding[0].system", "coding-system"),
    ("a value set as system", observation("Patient/p", code={"coding": [
        {"system": "http://hl7.org/fhir/ValueSet/observation-codes", "code": "x"}]}),
     "Observation.code.coding[0].system", "coding-system"),
    ("a relative system", {**PATIENT, "identifier": [{"system": "mrn", "value": "1"}]},
     "Patient.identifier[0].system", "absolute-system"),
    ("an identifier that is no URI", {**PATIENT, "identifier": [{"system": "urn:ietf:rfc:3986", "value": "1"}]},
     "Patient.identifier[0].value", "identifier-value"),
    ("a urn that is no OID", {**PATIENT, "identifier": [{"system": "urn:oid:x", "value": "1"}]},
     "Patient.identifier[0].system", "oid"),
    ("a unit that UCUM does not have",
     observation("Patient/p", valueQuantity={"value": 1, "system": "http://unitsofmeasure.org", "code": "kilo"}),
     "Observation.value.code", "ucum"),
    ("an entry of a message that nothing links", message(entry(OTHER, PATIENT), entry(THIRD, {"resourceType": "Device"})),
     "Bundle.entry[2]", "bundle-unlinked"),
    ("a condition on an item that is not there",
     {"resourceType": "Questionnaire", "status": "draft", "item": [
         {"linkId": "1", "type": "string", "enableWhen": [{"question": "0", "operator": "exists", "answerBoolean": True}]}]},
     "Questionnaire.item[0].enableWhen[0].question", "questionnaire-enable-when"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "resource", "place", "rule"), REMARKS, ids=[row[0] for row in REMARKS])
def test_remarks_are_for_who_asks(what: str, resource: Json, place: str, rule: str) -> None:
    assert found(resource) == set()
    told = {(issue.expression, issue.rule, issue.severity) for issue in check(base_registry(), resource)}
    assert (place, rule, "warning") in told


def test_the_checks_change_nothing() -> None:
    for _, resource in GOOD:
        before = copy.deepcopy(resource)
        found(resource)
        assert resource == before
