"""Definitions by canonical url: which of several is meant, and who has it."""

from fhir_server.conformance.canonicals import Canonicals, Definitions, no_canonicals, version_order
from fhir_server.conformance.registry import base_registry
from fhir_server.rest.dispatch import session
from fhir_server.storage.definitions import DefinitionRow
from tests.client import Client
from tests.conftest import TestTenant

URL = "http://clinic.example/fhir/StructureDefinition/visitor"


def row(version: str, status: str = "active", rid: int = 1) -> DefinitionRow:
    type_id = base_registry().type_ids["StructureDefinition"]
    return DefinitionRow(type_id, URL, rid, version, 1, "visitor", status, "constraint", "Patient", "")


def chosen(rows: list[DefinitionRow], canonical: str = URL) -> str | None:
    found = Canonicals(rows, base_registry().type_ids).find("StructureDefinition", canonical)
    return None if found is None else found.version


def test_versions_are_compared_as_numbers() -> None:
    ordered = ["0.9", "1.0.0-ballot", "1.0.0-ballot2", "1.0.0", "1.2", "1.10", "2024.1"]
    shuffled = [ordered[place] for place in (3, 0, 6, 2, 5, 1, 4)]
    assert sorted(shuffled, key=version_order) == ordered


def test_the_highest_active_version_is_meant_unless_one_is_named() -> None:
    rows = [row("1.2.0"), row("1.10.0"), row("2.0.0", status="draft")]
    assert chosen(rows) == "1.10.0"
    assert chosen(rows, f"{URL}|1.2.0") == "1.2.0"
    assert chosen(rows, f"{URL}|1.2") == "1.2.0"
    assert chosen(rows, f"{URL}|1") == "1.10.0"
    assert chosen(rows, f"{URL}|2.0.0#part") == "2.0.0"
    assert chosen(rows, f"{URL}|3") is None
    assert chosen([row("1.2.0")], "http://clinic.example/other") is None


def test_the_definitions_of_r4_and_of_this_server_are_found_by_everybody() -> None:
    here = Definitions(no_canonicals(), None, 0)
    patient = here.find("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/Patient")
    assert patient is not None and patient["snapshot"]["element"][0]["path"] == "Patient"
    assert here.find("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/Patient|4.0") is patient
    assert here.find("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/Patient|5.0") is None
    assert here.find("ValueSet", "http://hl7.org/fhir/ValueSet/administrative-gender") is not None
    assert here.find("StructureDefinition", "urn:salam:StructureDefinition:no-such") is None


def test_what_a_tenant_stores_is_found_until_it_is_deleted(client: Client, tenant: TestTenant) -> None:
    from fhir_server.interactions.worlds import refresh

    def found() -> dict[str, object] | None:
        db = session()
        place = refresh(db, tenant.slug)
        db.enter(place.tenant.id, None, place.version)
        try:
            return Definitions(place.registry.canonicals, db, tenant.id).find("ValueSet", "http://x.example/vs")
        finally:
            db.commit()

    assert found() is None
    body = {"resourceType": "ValueSet", "url": "http://x.example/vs", "status": "active", "version": "1"}
    made = client.post("ValueSet", body)
    assert made.status == 201
    first = found()
    assert first is not None and first["version"] == "1"
    client.put(f"ValueSet/{made.json['id']}", {**body, "id": made.json["id"], "version": "2"})
    second = found()
    assert second is not None and second["version"] == "2"
    client.delete(f"ValueSet/{made.json['id']}")
    assert found() is None


def test_what_is_replaced_meanwhile_is_found_as_it_was(client: Client, tenant: TestTenant) -> None:
    """A request sees one state of the definitions from its beginning to its end, whatever others do."""
    from fhir_server.interactions.worlds import refresh

    url = "http://x.example/replaced"
    body = {"resourceType": "ValueSet", "url": url, "status": "active"}
    ids = [client.create({**body, "version": version})["id"] for version in ("1", "2")]
    before = refresh(session(), tenant.slug).registry.canonicals
    assert client.put(f"ValueSet/{ids[0]}", {**body, "id": ids[0], "version": "3"}).status == 200
    assert client.delete(f"ValueSet/{ids[1]}").status == 204
    place = refresh(session(), tenant.slug)
    db = session()
    db.enter(place.tenant.id, None, place.version)
    try:
        found = [Definitions(before, db, tenant.id).find("ValueSet", f"{url}|{version}") for version in ("1", "2")]
    finally:
        db.commit()
    assert [each and each["version"] for each in found] == ["1", "2"]


def test_any_text_can_be_compared_as_a_version() -> None:
    """`int` refuses numbers of more than 4,300 digits; a version is whatever somebody wrote."""
    long = "1" * 5000
    assert version_order("2") < version_order(long) < version_order(f"{long}0")
    assert version_order("007") == version_order("7") and version_order("\u0665") == version_order("")
    assert chosen([row(long, rid=1), row("2", rid=2)]) == long
