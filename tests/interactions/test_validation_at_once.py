"""Policies and profiles while others change them, and when a change is undone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fhir_server.rest.dispatch import session
from tests.client import Answer, Client
from tests.conftest import TestTenant
from tests.validation.profiles.kit import URL, el, profile

Json = dict[str, Any]
CLAIM: Json = {"resourceType": "Patient", "gender": "female", "meta": {"profile": [f"{URL}tried"]}}


@pytest.fixture
def client(new_tenant: Callable[[], TestTenant]) -> Client:
    """A client of a tenant without definitions and policy."""
    return new_tenant().client()


def keeping(name: str) -> Json:
    """What is sent to keep data of a type that breaks rules."""
    given = [{"name": "type", "valueCode": name}, {"name": "mode", "valueCode": "tag"}]
    return {"resourceType": "Parameters", "parameter": given}


def transaction(client: Client, *entries: tuple[str, str, Json | None]) -> Answer:
    """Send (method, url, resource) together."""
    made: list[Json] = [
        {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {})}
        for method, url, resource in entries
    ]
    return client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": made})


def types_told(client: Client) -> set[str]:
    """The types that have rules of their own."""
    rows = client.get("$validation-policy").json["parameter"]
    return {str(row["part"][0]["valueCode"]) for row in rows[:-1]}


def test_policies_of_several_types_that_change_at_once_are_all_kept(client: Client) -> None:
    types = ("Patient", "Observation", "Condition", "Encounter")

    def change(name: str) -> int:
        try:
            return client.post("$change-validation-policy", keeping(name)).status
        finally:
            session().close()

    with ThreadPoolExecutor(len(types)) as pool:
        answers = list(pool.map(change, types))
    assert answers == [200] * len(types)
    assert types_told(client) == set(types)


def test_policies_that_change_within_one_transaction_are_all_kept(client: Client) -> None:
    types = ("Patient", "Observation")
    answer = transaction(client, *(("POST", "$change-validation-policy", keeping(name)) for name in types))
    assert answer.status == 200
    assert types_told(client) == set(types)


def test_a_transaction_that_is_undone_leaves_the_profiles_as_they_were(client: Client) -> None:
    """Within it the definition is gone already; what was found then is not what holds afterwards."""
    held = client.create(profile("Patient", el("Patient.gender", min=1)))["id"]
    undone = transaction(
        client, ("DELETE", f"StructureDefinition/{held}", None), ("POST", "Patient/$validate", CLAIM), ("GET", "Patient/none", None)
    )
    assert undone.status == 404
    assert client.post("Patient", CLAIM).status == 201
    refused = client.post("Patient", {name: value for name, value in CLAIM.items() if name != "gender"})
    assert (refused.status, [issue["expression"] for issue in refused.issues]) == (422, [["Patient.gender"]])
