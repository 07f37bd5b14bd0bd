"""fhirpy (PyPI), synchronous: create, read, search with paging, count, update, transaction."""

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.rest.bodies import bundle, entry, mark, patient, urn

NUMBER = 23


@pytest.fixture(scope="module")
def fhir(base: str, token: str) -> SyncFHIRClient:
    return SyncFHIRClient(base, authorization=f"Bearer {token}")


def test_create_read_update_delete(fhir: SyncFHIRClient) -> None:
    resource = fhir.resource(**patient_of(mark()))
    resource.save()
    assert resource["meta"]["versionId"] == "1"
    reference = resource.to_reference()
    read = reference.to_resource()
    assert read.serialize() == resource.serialize()
    read["gender"] = "female"
    read.save()
    assert fhir.get("Patient", resource.id)["gender"] == "female"
    assert fhir.get("Patient", resource.id)["meta"]["versionId"] == "2"
    read.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        reference.to_resource()


def patient_of(word: str) -> dict[str, object]:
    body = patient(word)
    return {"resource_type": body.pop("resourceType"), **body}


def test_an_error_is_understood(fhir: SyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as refused:
        fhir.resource("Patient", gender="divers").save()
    assert refused.value.resource["issue"][0]["expression"] == ["Patient.gender"]


def test_search_pages_counts_and_first(fhir: SyncFHIRClient) -> None:
    word = mark()
    made = {fhir.resource(**patient_of(word)).save().id for _ in range(NUMBER)}
    search = fhir.resources("Patient").search(identifier=f"urn:test|{word}").sort("-_lastUpdated")
    assert search.count() == NUMBER
    found = [one.id for one in search.limit(5)]
    assert len(found) == NUMBER
    assert set(found) == made
    assert len(search.limit(5).fetch()) == 5
    assert len(search.limit(7).fetch_all()) == NUMBER
    assert search.first().id in made
    assert search.elements("birthDate").limit(1).fetch()[0]["birthDate"] == "1980-02-29"


def test_conditional_update(fhir: SyncFHIRClient) -> None:
    word = mark()
    search = fhir.resources("Patient").search(identifier=f"urn:test|{word}")
    first, created = search.update(fhir.resource(**patient_of(word)))
    assert (created, search.count()) == (True, 1)
    changed, created = search.update(fhir.resource(**patient_of(word), active=True))
    assert (changed["active"], changed.id, created) == (True, first.id, False)


def test_transaction_and_includes(fhir: SyncFHIRClient) -> None:
    word, subject = mark(), urn()
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": word}}
    sent = bundle(
        "transaction",
        entry("POST", "Patient", patient(word), subject),
        entry("POST", "Observation", {**observation, "subject": {"reference": subject}}, urn()),
    )
    answer = fhir.execute("/", method="post", data=sent)
    assert [one["response"]["status"][:3] for one in answer["entry"]] == ["201", "201"]
    patient_id = answer["entry"][0]["response"]["location"].split("/")[-3]
    found = fhir.resources("Observation").search(subject=f"Patient/{patient_id}").include("Observation", "subject")
    kinds = [one["resource"]["resourceType"] for one in found.fetch_raw()["entry"]]
    assert sorted(kinds) == ["Observation", "Patient"]
    assert fhir.resources("Observation").has("Provenance", "target", _id="none").limit(1).fetch() == []
