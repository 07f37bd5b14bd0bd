"""fhirclient (PyPI), the SMART on FHIR client: create, read, search with paging, update, transaction, delete."""

from typing import Any
from uuid import uuid4

import pytest
from fhirclient import client
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException
from requests import HTTPError

from tests.rest.bodies import bundle, entry, mark, patient, urn

NUMBER = 23


@pytest.fixture(scope="module")
def server(base: str, token: str) -> Any:
    made = client.FHIRClient(settings={"app_id": "test", "api_base": base}).server
    made.session.headers["Authorization"] = f"Bearer {token}"
    yield made
    made.session.close()


def test_the_capability_statement_is_understood(server: Any) -> None:
    statement = server.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    assert "Patient" in [resource.type for resource in statement.rest[0].resource]
    assert server.auth.auth_type == "oauth2"
    assert server.auth._token_uri.endswith("/oauth/token")


def test_create_read_update_delete(server: Any) -> None:
    made = Patient(patient(mark())).create(server)
    read = Patient.read(made["id"], server)
    assert read.birthDate.isostring == "1980-02-29"
    assert read.meta.versionId == "1"
    read.gender = "female"
    assert read.update(server)["meta"]["versionId"] == "2"
    assert Patient.read(made["id"], server).gender == "female"
    read.delete(server)
    with pytest.raises(HTTPError) as gone:
        Patient.read(made["id"], server)
    assert gone.value.response.status_code == 410
    with pytest.raises(FHIRNotFoundException):
        Patient.read(str(uuid4()), server)


def test_transaction_then_search_page_by_page(server: Any) -> None:
    word, subject = mark(), urn()
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": word}}
    sent = bundle(
        "transaction",
        entry("POST", "Patient", patient(word), subject),
        *(
            entry("POST", "Observation", {**observation, "subject": {"reference": subject}}, urn())
            for _ in range(NUMBER)
        ),
    )
    answer = Bundle(Bundle(sent).create(server))
    assert [one.response.status[:3] for one in answer.entry] == ["201"] * (NUMBER + 1)
    patient_id = answer.entry[0].response.location.split("/")[-3]

    search = Observation.where({"subject": f"Patient/{patient_id}", "_count": "5", "_sort": "_id"})
    pages = list(search.perform_iter(server))
    assert [len(page.entry) for page in pages] == [5, 5, 5, 5, 3]
    found = [one.resource for page in pages for one in page.entry]
    assert len({one.id for one in found}) == NUMBER
    assert {one.subject.reference for one in found} == {f"Patient/{patient_id}"}

    included = Observation.where({"subject.identifier": word, "_count": "100"}).include("subject")
    kinds = [one.resource_type for one in included.perform_resources_iter(server)]
    assert (kinds.count("Observation"), kinds.count("Patient")) == (NUMBER, 1)
