"""create. https://hl7.org/fhir/R4/http.html#create"""

from decimal import Decimal
from typing import Any

import pytest

from tests.client import Client
from tests.rest.answers import refused
from tests.rest.bodies import mark, patient, weight


def test_a_create_gives_201_and_says_where(client: Client) -> None:
    answer = client.post("Patient", patient(mark()))
    assert answer.status == 201
    assert answer.headers["Location"] == f"{client.base}/Patient/{answer.id}/_history/1"
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert client.get(answer.headers["Location"]).json == answer.json


def test_the_server_chooses_id_version_and_time(client: Client) -> None:
    sent = patient(mark(), id="mine", meta={"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z"})
    stored = client.create(sent)
    assert stored["id"] != "mine"
    assert stored["meta"]["versionId"] == "1"
    assert stored["meta"]["lastUpdated"] > "2020"
    refused(client.get("Patient/mine"), 404)


def test_the_clients_meta_is_kept(client: Client) -> None:
    meta = {"tag": [{"system": "urn:t", "code": "a"}], "profile": ["http://example.org/p"], "source": "urn:s"}
    stored = client.create(patient(mark(), meta=meta))
    assert {k: v for k, v in stored["meta"].items() if k in meta} == meta


DIGITS = ["1.00", "0.10", "100.0", "1", "1E+3", "1.0E-20", "0.000000000000000010", "12345678901234567890.5", "-0.00"]


@pytest.mark.parametrize("digits", DIGITS)
def test_decimals_keep_their_digits(client: Client, digits: str) -> None:
    stored = client.create(weight("Patient/p", digits))
    for answer in (client.get(f"Observation/{stored['id']}"), client.get(f"Observation?_id={stored['id']}")):
        resource = answer.json["entry"][0]["resource"] if "entry" in answer.json else answer.json
        # As a tuple, because 1.0 == 1.00.
        assert Decimal(resource["valueQuantity"]["value"]).as_tuple() == Decimal(digits).as_tuple()


@pytest.mark.parametrize("digits", ["1.00", "0.10", "100.0", "12345678901234567890.5"])
def test_decimals_are_written_as_they_came(client: Client, digits: str) -> None:
    stored = client.create(weight("Patient/p", digits))
    assert f'"value":{digits},' in client.get(f"Observation/{stored['id']}").text
    assert f'<value value="{digits}"/>' in client.get(f"Observation/{stored['id']}?_format=xml").text


def test_primitive_extensions_and_text_of_any_script_are_kept(client: Client) -> None:
    unknown = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    more: dict[str, Any] = {
        "_birthDate": {"extension": unknown},
        "name": [{"family": "Müller 陳 👩‍⚕️ \\ \" /", "given": ["Ada", None], "_given": [None, {"extension": unknown}]}],
    }
    sent = patient(mark()) | more
    del sent["birthDate"]
    stored = client.create(sent)
    read = client.get(f"Patient/{stored['id']}").json
    assert {name: read[name] for name in more} == more


WISHES = [
    ("return=minimal", None),
    ("return=representation", "Patient"),
    ("return=OperationOutcome", "OperationOutcome"),
    ("handling=strict; return=minimal", None),
    ("return=minimal, handling=lenient", None),
    ('return="minimal"', None),
    ("respond-async", "Patient"),
]


@pytest.mark.parametrize(("prefer", "body"), WISHES)
def test_prefer_decides_what_comes_back(client: Client, prefer: str, body: str | None) -> None:
    answer = client.post("Patient", patient(mark()), prefer=prefer)
    assert answer.status == 201
    assert answer.headers["Location"].startswith(f"{client.base}/Patient/")
    assert (answer.json["resourceType"] if answer.body else None) == body


BROKEN = [
    (b"", None),
    (b"{", None),
    (b"[]", None),
    (b'"Patient"', None),
    (b"null", None),
    (b"\xff\xfe", None),
    (b'{"resourceType":"Patient","birthDate":"1980-02-30"}', "Patient.birthDate"),
    (b'{"resourceType":"Patient","gender":"divers"}', "Patient.gender"),
    (b'{"resourceType":"Patient","active":"yes"}', "Patient.active"),
    (b'{"resourceType":"Patient","name":{"family":"x"}}', "Patient.name"),
    (b'{"resourceType":"Patient","name":[{"famly":"x"}]}', None),
    (b'{"resourceType":"Patient","contact":[{"gender":"male"}]}', "Patient.contact[0]"),
    (b'{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}', None),
    (b'{"resourceType":"Patient","text":{"status":"generated","div":"<div>x</div>"}}', None),
    (b'{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}', None),
    (b'{"resourceType":"Observation","status":"final","code":{"text":"x"}}', None),
    (b'{"resourceType":"Nonsense"}', None),
    (b"{}", None),
]


@pytest.mark.parametrize(("body", "expression"), BROKEN)
def test_a_body_that_is_no_valid_patient_is_refused(client: Client, body: bytes, expression: str | None) -> None:
    refused(client.post("Patient", body), (400, 422), expression)


def test_an_invalid_element_is_named_with_a_hint(client: Client) -> None:
    answer = client.post("Patient", {"resourceType": "Patient", "birthdate": "1980"})
    assert "birthDate" in refused(answer, (400, 422))


def test_no_message_repeats_patient_data(client: Client) -> None:
    secret = "Tolstoyevsky"
    answer = client.post("Patient", patient(mark(), gender=secret, name=[{"family": secret, "given": secret}]))
    assert secret not in refused(answer, (400, 422))


def test_what_was_refused_left_nothing(client: Client) -> None:
    word = mark()
    refused(client.post("Patient", patient(word, gender="divers")), (400, 422))
    assert client.search(f"Patient?identifier=urn:test|{word}") == []


def test_a_create_by_post_to_an_id_is_no_interaction(client: Client) -> None:
    answer = client.post("Patient/mine", patient(mark(), id="mine"))
    refused(answer, 405)
    assert "PUT" in answer.headers["Allow"]
