"""Granular scopes: only what their search parameters name is there, before and after every change, in every count.

smart-126, smart-127, smart-146, smart-147, smart-148
"""

from typing import Any

import pytest

from fhir_server.core.errors import FhirError
from fhir_server.security import access
from fhir_server.security.scopes import parse_scope
from tests.client import Client
from tests.conftest import TestTenant
from tests.isolation.attackers import ids_of, person, put_all, shown

SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-category"
VITAL, LAB, SURVEY = (f"category={SYSTEM}|{code}" for code in ("vital-signs", "laboratory", "survey"))
JSON_PATCH = "application/json-patch+json"


def _observation(id_: str, *categories: str, patient: str = "p", **more: Any) -> dict[str, Any]:
    """An observation whose code is its id. Categories: `code`, or `system|code`."""
    coded = [each.rpartition("|") for each in categories]
    found: dict[str, Any] = {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"coding": [{"system": "urn:c", "code": id_}]},
        "category": [{"coding": [{"system": system or SYSTEM, "code": code}]} for system, _, code in coded],
        "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": "2024-01-01", **more,
    }  # fmt: skip
    return found if categories else {key: value for key, value in found.items() if key != "category"}


VITALS = {"Observation/vital", "Observation/both"}
LABS = {"Observation/lab", "Observation/both", "Observation/draft"}


@pytest.fixture(scope="module")
def world(tenant: TestTenant, client: Client) -> TestTenant:
    """Observations of every kind of two patients, that refer to one another."""
    member = {"hasMember": [{"reference": f"Observation/{name}"} for name in ("lab", "vital", "both", "none")]}
    put_all(
        client,
        [
            {"resourceType": "Patient", "id": "p", "name": [{"family": "P"}]},
            {"resourceType": "Patient", "id": "q", "name": [{"family": "Q"}]},
            _observation("vital", "vital-signs", **member),
            _observation("both", "vital-signs", "laboratory"),
            _observation("lab", "laboratory", **member),
            _observation("draft", "laboratory", status="preliminary"),
            _observation("foreign", "urn:other|vital-signs"),
            _observation("none"),
            _observation("theirs", "vital-signs", patient="q"),
            {"resourceType": "Provenance", "id": "prov", "recorded": "2024-01-01T00:00:00Z",
             "target": [{"reference": "Observation/lab"}, {"reference": "Patient/p"}], "agent": [{"who": {"display": "x"}}]},
        ],
    )  # fmt: skip
    return tenant


def _vital(world: TestTenant, letters: str = "cruds", extra: str = "") -> Client:
    return world.client(f"patient/Observation.{letters}?{VITAL} patient/Patient.rs {extra}".strip(), patient="p")


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        (f"patient/Observation.rs?{VITAL}", VITALS),
        (f"patient/Observation.rs?{LAB}", LABS),
        (f"patient/Observation.rs?{VITAL} patient/Observation.rs?{LAB}", VITALS | LABS),
        (f"patient/Observation.rs?{VITAL},{SYSTEM}|laboratory", VITALS | LABS),
        (f"patient/Observation.rs?{VITAL}&{LAB}", {"Observation/both"}),
        (f"patient/Observation.rs?{LAB}&status=final", LABS - {"Observation/draft"}),
        (f"patient/Observation.rs?{SURVEY}", set()),
        ("patient/Observation.rs?category=vital-signs", VITALS | {"Observation/foreign"}),
        ("patient/Observation.rs?category=urn:other|", {"Observation/foreign"}),
        (f"patient/Observation.rs?{VITAL.replace('|', '%7C')}", VITALS),
        (f"patient/Observation.rs?{VITAL.replace(':', '%3A').replace('/', '%2F')}", VITALS),
        (f"patient/Observation.rs?{VITAL}%2C{SYSTEM}%7Claboratory", VITALS | LABS),
        (f"system/Observation.rs?{VITAL}", VITALS | {"Observation/theirs"}),
        (f"patient/Observation.rs?{VITAL} patient/Observation.c", VITALS),
        (f"patient/Observation.rs?{VITAL} patient/*.rs", VITALS | LABS | {"Observation/foreign", "Observation/none"}),
    ],
)
def test_what_a_scope_names(world: TestTenant, scope: str, wanted: set[str]) -> None:
    """smart-126, smart-146, smart-147, smart-148: found, counted, paged and read is the same set."""
    client = world.client(scope, patient="p")
    for path in (
        "Observation", "Observation?patient=p,q", "Observation?date=2024", "Observation?_sort=code", "?_type=Observation",
        "Observation?category:not=x", "Observation?code:missing=false", "Observation?_filter=status ne cancelled",
        "Observation/_history", "Observation/$lastn?max=5&patient=p,q",
    ):  # fmt: skip
        assert ids_of(client.get(path)) == wanted, path
    for more in ("_summary=count", "_total=accurate", "_total=estimate"):
        assert client.get(f"Observation?{more}").json["total"] == len(wanted)
    assert _walked(client, "Observation?_count=1&_sort=-code") == sorted(wanted, reverse=True)
    everything = {f"Observation/{name}" for name in ("vital", "both", "lab", "draft", "foreign", "none", "theirs")}
    for local in sorted(everything):
        for path in (local, f"{local}/_history", f"{local}/_history/1", f"{local}/$meta", f"{local}/$validate"):
            answer = client.get(path)
            assert (answer.status == 200) == (local in wanted), path
            if local not in wanted:
                assert shown(answer, local) == shown(
                    client.get(path.replace(local, "Observation/gone")), "Observation/gone"
                )


def _walked(client: Client, path: str) -> list[str]:
    """`Type/id` of every entry of every page, in order."""
    found: list[str] = []
    while path:
        page = client.get(path).json
        found += [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in page.get("entry", ())]
        path = next((each["url"] for each in page["link"] if each["relation"] == "next"), "")
    return found


@pytest.mark.parametrize(
    "path",
    [
        "Patient?_has:Observation:patient:code=lab", "Patient?_has:Observation:patient:status=preliminary",
        "Observation?has-member.code=lab", "Observation?has-member.code=none",
        "Observation?_has:Observation:has-member:code=lab", "Observation?code=lab,none,draft,theirs",
        "Observation?category=laboratory&status=preliminary", "Observation?_filter=has-member.code eq lab",
    ],
)  # fmt: skip
def test_it_binds_what_is_asked_about_too(world: TestTenant, path: str) -> None:
    """smart-147"""
    assert ids_of(_vital(world).get(path)) == set()
    assert ids_of(world.client("system/*.rs").get(path)) != set()


@pytest.mark.parametrize(
    "path",
    [
        "Observation?_include=*&_include:iterate=*", "Observation?_revinclude=*&_revinclude:iterate=*",
        "Observation?_include=Observation:has-member", "Patient?_revinclude=Observation:patient", "Patient/p/$everything",
        "Patient/p/*", "Patient/p/Observation", "_history", "Observation/$lastn?max=9&patient=p",
    ],
)  # fmt: skip
def test_it_binds_what_comes_along(world: TestTenant, path: str) -> None:
    """smart-147"""
    found = {each for each in ids_of(_vital(world).get(path)) if each.startswith("Observation/")}
    assert found == VITALS


def test_before_and_after_a_change(world: TestTenant, client: Client) -> None:
    """smart-147: neither out of what the scope names nor into it."""
    vital = _vital(world)
    put_all(client, [_observation("moves", "vital-signs"), _observation("hidden", "laboratory")])
    out = [{"op": "replace", "path": "/category/0/coding/0/code", "value": "laboratory"}]
    assert vital.put("Observation/moves", _observation("moves", "laboratory")).status == 403
    assert vital.put("Observation/moves", _observation("moves")).status == 403
    assert vital.patch("Observation/moves", out, content_type=JSON_PATCH).status == 403
    assert vital.put(f"Observation?code=moves&{VITAL}", _observation("moves", "laboratory")).status == 403
    assert vital.put("Observation/hidden", _observation("hidden", "vital-signs")).status == 404
    assert vital.patch("Observation/hidden", out, content_type=JSON_PATCH).status == 404
    assert vital.put("Observation/fresh", _observation("fresh", "vital-signs")).status == 404
    assert vital.delete("Observation/hidden").status == 204
    assert vital.delete("Observation?code=hidden").status == 204
    assert vital.post("Observation", _observation("x", "laboratory")).status == 403
    assert vital.post("Observation", _observation("x", "vital-signs", patient="q")).status == 403
    for id_ in ("moves", "hidden"):
        assert client.get(f"Observation/{id_}").json["meta"]["versionId"] == "1"
    assert vital.put("Observation/moves", _observation("moves", "vital-signs", status="amended")).status == 200
    made = vital.post("Observation", _observation("x", "vital-signs"))
    assert made.status == 201
    for path in ("Observation/moves", f"Observation/{made.id}"):
        assert vital.delete(path).status == 204
    client.delete("Observation/hidden")


def test_a_transaction_is_judged_alike(world: TestTenant, client: Client) -> None:
    """smart-135, smart-147"""
    put_all(client, [_observation("t-vital", "vital-signs"), _observation("t-lab", "laboratory")])
    vital = _vital(world)
    for id_, body, status in (
        ("t-vital", _observation("t-vital", "laboratory"), 403),
        ("t-lab", _observation("t-lab", "vital-signs"), 404),
        ("t-new", _observation("t-new", "vital-signs"), 404),
    ):
        entry = {"resource": body, "request": {"method": "PUT", "url": f"Observation/{id_}"}}
        answer = vital.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        assert answer.status == status, answer.text
    for id_ in ("t-vital", "t-lab"):
        assert client.get(f"Observation/{id_}").json["meta"]["versionId"] == "1"
        client.delete(f"Observation/{id_}")


def test_versions_are_judged_as_they_were(world: TestTenant, client: Client) -> None:
    """smart-147, sec-T6"""
    put_all(client, [_observation("turns", "laboratory")])
    put_all(client, [_observation("turns", "vital-signs")])
    vital, lab = _vital(world), world.client(f"patient/Observation.rs?{LAB}", patient="p")
    assert vital.get("Observation/turns/_history/1").status == 404
    assert vital.get("Observation/turns/_history/2").status == 200
    assert [e["resource"]["meta"]["versionId"] for e in vital.get("Observation/turns/_history").json["entry"]] == ["2"]
    for path in (
        "Observation/turns",
        "Observation/turns/_history",
        *(f"Observation/turns/_history/{n}" for n in (1, 2, 3)),
    ):
        assert shown(lab.get(path), "turns") == shown(lab.get(path.replace("turns", "never")), "never")
    client.delete("Observation/turns")
    assert vital.get("Observation/turns").status == 410
    for path in (
        "Observation/turns",
        "Observation/turns/_history",
        *(f"Observation/turns/_history/{n}" for n in (1, 2, 3)),
    ):
        assert shown(lab.get(path), "turns") == shown(lab.get(path.replace("turns", "never")), "never")


@pytest.mark.parametrize(
    "query",
    [
        "category:not=x", "category:in=http://example.org/vs", "category:text=vital", "subject:Patient.name=P", "patient.name=P",
        "_has:Provenance:target:agent=x", "_id=vital", "date=gt2020", "value-quantity=5", "code-value-quantity=x$5",
        "_filter=code eq x", "_list=x", "_content=x", "_lastUpdated=gt2020", "subject=Patient/p", "nonsense=1", "category:missing=true",
        f"{VITAL}&nonsense=1", "category", "category=", "=x", "category:of-type=a|b|c", "code:below=x", "_include=*", "_count=1",
    ],
)  # fmt: skip
def test_what_cannot_be_enforced_gives_nothing(world: TestTenant, query: str) -> None:
    """smart-127: refused where a token is made, and no wider when one has such a scope nevertheless."""
    with pytest.raises(FhirError):
        world.client(f"system/Observation.rs?{query}")
    had = person(world, "service", f"user/Observation.rs?{query}").client
    for path in ("Observation", "Observation/vital", "Observation/_history", "Observation?_summary=count"):
        assert had.get(path).status in (400, 403), path


def test_forms_that_are_no_granular_scope(world: TestTenant) -> None:
    """smart-127"""
    for scope in (
        f"system/*.rs?{VITAL}",
        f"system/Observation.read?{VITAL}",
        f"system/Observation.*?{VITAL}",
        "system/Observation.sr",
    ):
        assert parse_scope(scope) is None
        with pytest.raises(FhirError):
            world.client(scope)


@pytest.mark.parametrize(
    "query", [VITAL, f"{VITAL}&status=final", f"{VITAL},{SYSTEM}|laboratory", "code=a%26b", "code=a%3Db%25"]
)
def test_a_scope_is_the_same_written_and_read(query: str) -> None:
    """smart-126"""
    scope = parse_scope(f"patient/Observation.rs?{query}")
    assert scope is not None
    assert parse_scope(str(scope)) == scope


def test_the_sets_tell(world: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: with the query of the scope dropped, other observations are found."""
    monkeypatch.setattr(access, "_granular", lambda registry, resource_type, query: ())
    wider = world.client(f"patient/Observation.rs?{VITAL}", patient="p")
    assert ids_of(wider.get("Observation")) > VITALS
    assert wider.get("Observation/lab").status == 200
