"""_summary and _elements. https://hl7.org/fhir/R4/search.html#summary"""

from typing import Any

import pytest

from tests.client import Client
from tests.rest.answers import link, refused, resources
from tests.rest.bodies import mark, weight

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">weight</div>'
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


@pytest.fixture(scope="module")
def observation(client: Client) -> dict[str, Any]:
    more = {"text": {"status": "generated", "div": DIV}, "note": [{"text": "n"}], "meta": {"tag": [{"code": mark()}]}}
    return client.create(weight("Patient/p", "1.00", **more))


BASE = {"resourceType", "id", "meta"}
MANDATORY = {"status", "code"}
ROWS = [
    ("_summary=true", BASE | MANDATORY | {"subject", "effectiveDateTime", "valueQuantity"}),
    ("_summary=text", BASE | MANDATORY | {"text"}),
    ("_summary=data", BASE | MANDATORY | {"subject", "effectiveDateTime", "valueQuantity", "note"}),
    ("_elements=note", BASE | MANDATORY | {"note"}),
    ("_elements=subject,note", BASE | MANDATORY | {"subject", "note"}),
    ("_elements=Observation.note", BASE | MANDATORY | {"note"}),
    ("_elements=valueQuantity", BASE | MANDATORY | {"valueQuantity"}),
    ("_elements=value", BASE | MANDATORY | {"valueQuantity"}),
]


@pytest.mark.parametrize(("query", "names"), ROWS)
@pytest.mark.parametrize("form", ["read", "vread", "search", "history"])
def test_which_elements_are_left(
    client: Client, observation: dict[str, Any], form: str, query: str, names: set[str]
) -> None:
    local = f"Observation/{observation['id']}"
    paths = {
        "read": f"{local}?{query}",
        "vread": f"{local}/_history/1?{query}",
        "search": f"Observation?_id={observation['id']}&{query}",
        "history": f"{local}/_history?{query}",
    }
    answer = client.get(paths[form])
    (found,) = [answer.json] if form in ("read", "vread") else resources(answer)
    assert set(found) == names
    assert SUBSETTED.items() <= found["meta"]["tag"][-1].items()
    assert found["meta"]["versionId"] == "1"


def test_the_stored_resource_is_untouched(client: Client, observation: dict[str, Any]) -> None:
    assert client.get(f"Observation/{observation['id']}").json == observation
    whole = client.get(f"Observation/{observation['id']}?_summary=false").json
    assert whole == observation


def test_decimals_keep_their_digits(client: Client, observation: dict[str, Any]) -> None:
    assert '"value":1.00' in client.get(f"Observation/{observation['id']}?_summary=true").text


def test_count_has_a_total_and_no_entries(client: Client, observation: dict[str, Any]) -> None:
    found = client.get(f"Observation?_id={observation['id']}&_summary=count").json
    assert (found["total"], found.get("entry", [])) == (1, [])


@pytest.mark.parametrize("path", ["Observation?", "Observation/{id}?", "Observation/_history?"])
def test_a_summary_that_does_not_exist_is_named(client: Client, observation: dict[str, Any], path: str) -> None:
    url = f"{path.format(id=observation['id'])}_summary=everything"
    assert "true" in refused(client.get(url), 400, "http._summary")


def test_links_keep_what_was_asked(client: Client) -> None:
    for _ in range(2):
        client.create(weight("Patient/p"))
    answer = client.get("Observation?_count=1&_elements=subject")
    assert "_elements=subject" in str(link(answer, "next"))
    again = client.get(str(link(answer, "next")))
    assert set(resources(again)[0]) == BASE | MANDATORY | {"subject"}


def test_an_element_that_is_not_there_leaves_the_mandatory_ones(client: Client, observation: dict[str, Any]) -> None:
    answer = client.get(f"Observation/{observation['id']}?_elements=nonsense")
    if answer.status == 200:
        assert set(answer.json) == BASE | MANDATORY
    else:
        refused(answer, 400, "http._elements")
