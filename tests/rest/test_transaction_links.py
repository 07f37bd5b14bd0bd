"""Links between the entries of a transaction. https://hl7.org/fhir/R4/http.html#trules"""

from typing import Any

import pytest

from tests.client import Client
from tests.rest.answers import entries, refused
from tests.rest.bodies import bundle, entry, mark, patient, urn, weight


def stored(client: Client, *sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The stored resource of each entry."""
    answer = client.post("", bundle("transaction", *sent), prefer="return=representation")
    return [one["resource"] for one in entries(answer)]


@pytest.mark.parametrize("order", [1, -1])
def test_references_by_urn_uuid_in_any_order(client: Client, order: int) -> None:
    full_url = urn()
    sent = [entry("POST", "Patient", patient(mark()), full_url), entry("POST", "Observation", weight(full_url), urn())]
    found = {one["resourceType"]: one for one in stored(client, *sent[::order])}
    assert found["Observation"]["subject"]["reference"] == f"Patient/{found['Patient']['id']}"
    linked = client.search(f"Observation?subject=Patient/{found['Patient']['id']}")
    assert [one["id"] for one in linked] == [found["Observation"]["id"]]


def test_references_in_a_circle(client: Client) -> None:
    one, two = urn(), urn()
    first, second = stored(
        client,
        entry("POST", "Patient", patient(mark(), link=[{"other": {"reference": two}, "type": "seealso"}]), one),
        entry("POST", "Patient", patient(mark(), link=[{"other": {"reference": one}, "type": "seealso"}]), two),
    )
    assert first["link"][0]["other"]["reference"] == f"Patient/{second['id']}"
    assert second["link"][0]["other"]["reference"] == f"Patient/{first['id']}"


@pytest.mark.parametrize("form", ["http://elsewhere.example/fhir/Patient/77", "urn:oid:1.2.3.4.5"])
def test_any_full_url_is_rewritten(client: Client, form: str) -> None:
    made = stored(client, entry("POST", "Patient", patient(mark()), form), entry("POST", "Observation", weight(form)))
    assert made[1]["subject"]["reference"] == f"Patient/{made[0]['id']}"


def test_a_relative_reference_means_what_its_full_url_has_beside_it(client: Client) -> None:
    """Not the resource here that happens to have this id. https://hl7.org/fhir/R4/bundle.html#references"""
    client.put("Patient/77", patient(mark(), id="77"))
    root = "http://elsewhere.example/fhir/"
    made = stored(
        client,
        entry("POST", "Observation", weight("Patient/77"), f"{root}Observation/1"),
        entry("POST", "Patient", patient(mark()), f"{root}Patient/77"),
        entry("POST", "Observation", weight("Patient/77"), urn()),
    )
    assert made[0]["subject"]["reference"] == f"Patient/{made[1]['id']}"
    assert made[2]["subject"]["reference"] == "Patient/77"


def test_references_to_a_put_and_to_a_conditional_put(client: Client) -> None:
    word, one, two = mark(), urn(), urn()
    made = stored(
        client,
        entry("PUT", f"Patient/{word}", patient(mark(), id=word), one),
        entry("PUT", f"Patient?identifier=urn:test|{word}", patient(word), two),
        entry("POST", "Observation", weight(one)),
        entry("POST", "Observation", weight(two)),
    )
    assert made[2]["subject"]["reference"] == f"Patient/{word}"
    assert made[3]["subject"]["reference"] == f"Patient/{made[1]['id']}"


def test_uris_attachments_extensions_contained_and_narratives(client: Client) -> None:
    target = urn()
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{target}">x</a><img src="{target}" alt="p"/></div>'
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "text": {"status": "generated", "div": div},
        "contained": [{"resourceType": "Provenance", "id": "p", "target": [{"reference": target}],
                       "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"reference": target}}]}],
        "extension": [{"url": "http://example.org/e", "valueUri": target},
                      {"url": "http://example.org/r", "valueReference": {"reference": target}}],
        "content": [{"attachment": {"url": target, "title": target}}],
        "context": {"related": [{"reference": "#p"}]},
    }  # fmt: skip
    made = stored(client, entry("POST", "Patient", patient(mark()), target), entry("POST", "DocumentReference", document))
    local, read = f"Patient/{made[0]['id']}", client.get(f"DocumentReference/{made[1]['id']}").json
    assert read["text"]["div"] == div.replace(target, local)
    assert read["contained"][0]["target"][0]["reference"] == local
    assert read["contained"][0]["agent"][0]["who"]["reference"] == local
    assert [read["extension"][0]["valueUri"], read["extension"][1]["valueReference"]["reference"]] == [local, local]
    assert read["content"][0]["attachment"]["url"] == local
    assert read["content"][0]["attachment"]["title"] == target, "a title is no link"
    assert read["context"]["related"][0]["reference"] == "#p"


def test_canonicals_and_identifier_systems_of_others_stay(client: Client) -> None:
    full_url = "http://example.org/fhir/Questionnaire/q"
    questionnaire = {"resourceType": "Questionnaire", "status": "draft", "url": full_url}
    response = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": full_url}
    made = stored(
        client, entry("POST", "Questionnaire", questionnaire, full_url), entry("POST", "QuestionnaireResponse", response)
    )
    assert made[1]["questionnaire"] == full_url


def test_a_fragment_after_a_full_url_is_kept_or_left(client: Client) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: a version-specific or plain reference is rewritten; others stay."""
    unknown = urn()
    made = stored(client, entry("POST", "Patient", patient(mark(), generalPractitioner=[{"reference": unknown}]), urn()))
    assert made[0]["generalPractitioner"][0]["reference"] == unknown


def test_conditional_references(client: Client) -> None:
    word = mark()
    known = client.create(patient(word))
    (made,) = stored(client, entry("POST", "Observation", weight(f"Patient?identifier=urn:test|{word}")))
    assert made["subject"]["reference"] == f"Patient/{known['id']}"


@pytest.mark.parametrize(("number", "said"), [(0, "none"), (2, "more than one")])
def test_a_conditional_reference_must_match_exactly_one(client: Client, number: int, said: str) -> None:
    word, other = mark(), mark()
    for _ in range(number):
        client.create(patient(word))
    sent = bundle(
        "transaction",
        entry("POST", "Patient", patient(other)),
        entry("POST", "Observation", weight(f"Patient?identifier=urn:test|{word}")),
    )
    text = refused(client.post("", sent), (400, 412), "Bundle.entry[1].resource.subject.reference")
    assert said in text
    assert "identifier" in text
    assert word not in text, "the value of a search may be about a patient"
    assert client.search(f"Patient?identifier={other}") == []


@pytest.mark.parametrize("reference", ["Patien?identifier=x", "Patient?identifer=x", "Patient?birthdate=x"])
def test_a_conditional_reference_that_is_wrong(client: Client, reference: str) -> None:
    answer = client.post("", bundle("transaction", entry("POST", "Observation", weight(reference))))
    refused(answer, (400, 412, 422))
    assert all(place.startswith("Bundle.entry[0].resource") for i in answer.issues for place in i["expression"])


def test_links_in_a_patch(client: Client) -> None:
    known, target = client.create(patient(mark())), urn()
    parts: list[dict[str, Any]] = [
        {"name": "type", "valueCode": "add"},
        {"name": "path", "valueString": "Patient"},
        {"name": "name", "valueString": "generalPractitioner"},
        {"name": "value", "valueReference": {"reference": target}},
    ]
    change = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    doctor = {"resourceType": "Practitioner", "name": [{"text": "Dr"}]}
    made = stored(
        client, entry("POST", "Practitioner", doctor, target), entry("PATCH", f"Patient/{known['id']}", change)
    )
    assert made[1]["generalPractitioner"][0]["reference"] == f"Practitioner/{made[0]['id']}"
