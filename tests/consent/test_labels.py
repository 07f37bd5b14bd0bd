"""Security labels: from whom they withhold, who may take them off, the mark of a Bundle. sec-48, sec-T32"""

from typing import Any

import pytest

from fhir_server.core.errors import Forbidden
from fhir_server.security.labels import bundle_label, check_change
from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.people import user
from tests.consent.words import CONFIDENTIALITY, label, observation

# role: the labels on a resource that it still sees
SEEN = {
    "practitioner": {"", "L", "N", "R", "HIV", "R HIV"},
    "nurse": {"", "L", "N"},
    "service": {"", "L", "N", "R", "HIV", "R HIV"},
    "owner": {"", "L", "N"},
}
ALL = ["", "L", "N", "R", "V", "HIV", "R HIV", "V N"]


@pytest.fixture(scope="module")
def labelled(client: Client) -> dict[str, str]:
    """Ids of observations by their labels."""
    client.put("Patient/p", {"resourceType": "Patient", "id": "p"})
    return {codes: client.create(observation("p", "718-7", *codes.split()))["id"] for codes in ALL}


@pytest.mark.parametrize("role", SEEN)
def test_withheld_from_roles(tenant: TestTenant, labelled: dict[str, str], role: str) -> None:
    who = user(tenant, role, None if role == "service" else "Practitioner/x")
    seen = {codes for codes, each in labelled.items() if who.get(f"Observation/{each}").status == 200}
    assert seen == SEEN[role]
    names = {each: codes for codes, each in labelled.items()}
    assert {names[each["id"]] for each in who.search("Observation?patient=p")} == SEEN[role]
    # `_security` is searched within what is seen only.
    assert bool(who.search(f"Observation?_security={CONFIDENTIALITY}|R")) == ("R" in SEEN[role])
    assert who.search(f"Observation?_security={CONFIDENTIALITY}|V") == []


CHANGES = [
    # before, after, allowed without the right to relabel
    ("R", "R", True),
    ("R", "V", True),
    ("R", "N", False),
    ("R", "", False),
    ("N", "", True),
    ("", "R", True),
    ("", "L", False),
    ("HIV", "", False),
    ("HIV", "PSY", False),
    ("HIV", "HIV R", True),
    ("R HIV", "HIV", False),
    ("R", "R L", True),
]


@pytest.mark.parametrize(("before", "after", "allowed"), CHANGES)
def test_changes(before: str, after: str, allowed: bool) -> None:
    old, new = observation("p", "1-8", *before.split()), observation("p", "1-8", *after.split())
    check_change(None, new, False)
    check_change(old, new, True)
    if allowed:
        check_change(old, new, False)
    else:
        with pytest.raises(Forbidden):
            check_change(old, new, False)


def test_a_label_comes_off_for_nobody_without_the_right(tenant: TestTenant, client: Client) -> None:
    # sec-T32
    doctor = user(tenant, "practitioner", "Practitioner/x")
    made: dict[str, Any] = client.create(observation("p", "718-7", "R"))
    path = f"Observation/{made['id']}"
    without = {name: value for name, value in made.items() if name != "meta"}
    assert doctor.put(path, without).status == 403
    patch = [{"op": "remove", "path": "/meta/security"}]
    assert doctor.patch(path, patch, content_type="application/json-patch+json").status == 403
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [label("R")]}}]}
    assert doctor.post(f"{path}/$meta-delete", meta).status == 403
    entry = {"resource": without, "request": {"method": "PUT", "url": path}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert doctor.post("", bundle).status == 403
    assert doctor.get(path).json["meta"]["security"] == [label("R")]
    assert doctor.put(path, {**made, "status": "amended"}).status == 200
    raised = {**made, "meta": {"security": [label("R"), label("PSY")]}}
    assert doctor.put(path, raised).status == 200


def test_high_water_mark() -> None:
    def mark(*labels: str) -> list[dict[str, str]]:
        return bundle_label([observation("p", "1-8", *codes.split()) for codes in labels])

    assert mark("", "") == []
    assert mark("N", "R", "L") == [label("R")]
    assert mark("L", "") == [label("N")]
    assert mark("L", "U") == [label("L")]
    assert mark("HIV", "R PSY") == [label("R"), label("HIV"), label("PSY")]
    # What tells that something is kept back stays out.
    assert mark("MASK", "N") == [label("N")]
