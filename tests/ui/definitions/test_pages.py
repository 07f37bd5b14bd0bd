"""Packages, rules, what waits for review, and looking up codes, without JavaScript."""

import gzip
import io
import json
import re
import tarfile
from typing import Any

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from fhir_server.rest.dispatch import session
from fhir_server.storage import tenants
from fhir_server.terminology.importers import jobs as imports
from tests.ui.conftest import Demo, Person
from tests.ui.reading import faults

PROFILE = "http://clinic.example/fhir/StructureDefinition/born"
CODES = "http://clinic.example/fhir/CodeSystem/stock"


@pytest.fixture(scope="module")
def owner(clinic: Demo) -> Person:
    return clinic.person("owner")


def package(version: str = "1.0.0", **manifest: Any) -> bytes:
    """A guide with one profile: a patient has a date of birth."""
    profile = {
        "resourceType": "StructureDefinition", "id": "born", "url": PROFILE, "name": "Born", "status": "active",
        "kind": "resource", "abstract": False, "type": "Patient", "derivation": "constraint", "version": version,
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}]},
    }  # fmt: skip
    about = {"name": "clinic.example", "version": version, "fhirVersions": ["4.0.1"], "title": "Our rules", **manifest}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in (("package.json", about), ("StructureDefinition-born.json", profile)):
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue())


def install(owner: Person, content: bytes) -> Any:
    return owner.post("definitions/packages/install", {"file": (io.BytesIO(content), "package.tgz")})


def test_only_who_runs_the_clinic_enters(clinic: Demo) -> None:
    for role in ("owner", "manager"):
        assert clinic.person(role).get("definitions/").status_code == 200
    for role in ("receptionist", "nurse", "practitioner", "patient"):
        assert clinic.person(role).get("definitions/").status_code == 404


def test_a_package_is_installed_from_a_file_used_and_removed(clinic: Demo, owner: Person) -> None:
    answer = install(owner, package())
    assert answer.status_code == 200
    assert "Un paquet est installé" in answer.text or "1 paquet est installé" in answer.text
    page = owner.get("definitions/")
    assert "clinic.example" in page.text and "1.0.0" in page.text and "Our rules" in page.text
    patient = {"resourceType": "Patient", "meta": {"profile": [PROFILE]}, "name": [{"family": "Alami"}]}
    refused = clinic.client().post("Patient", patient)
    assert refused.status == 422
    assert refused.issues[0]["expression"] == ["Patient.birthDate"] or "birthDate" in refused.text
    removed = owner.post("definitions/packages/remove", {"name": "clinic.example", "version": "1.0.0"})
    assert removed.status_code == 303
    assert "clinic.example" not in owner.get("definitions/").text
    assert clinic.client().post("Patient", patient).status == 201


def test_a_file_that_is_no_package_is_refused_in_words(owner: Person) -> None:
    answer = install(owner, b"not a package")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert owner.post("definitions/packages/install", {}).status_code == 422


def test_a_rule_is_set_shown_and_lists_what_it_keeps(clinic: Demo, owner: Person) -> None:
    assert install(owner, package("2.0.0")).status_code == 200
    saved = owner.post("definitions/rules/", {"type": "Patient", "mode": "tag", "unknown": "advise", "profile": PROFILE})
    assert saved.status_code == 303
    page = owner.get("definitions/rules/?type=Patient")
    assert PROFILE in page.text
    made = clinic.client().post("Patient", {"resourceType": "Patient", "name": [{"family": "Idrissi"}]})
    assert made.status == 201
    review = owner.get("definitions/review/")
    assert f"Patient/{made.id}" in review.text
    assert "birthDate" in review.text
    fixed = {**made.json, "birthDate": "1980-01-01"}
    assert clinic.client().put(f"Patient/{made.id}", fixed).status == 200
    assert f"Patient/{made.id}" not in owner.get("definitions/review/").text
    assert owner.post("definitions/rules/", {"type": "Patient", "mode": "off", "unknown": "off"}).status_code == 303


def test_a_rule_that_cannot_be_is_refused_and_stays_in_the_form(owner: Person) -> None:
    answer = owner.post("definitions/rules/", {"type": "Patent", "mode": "tag", "unknown": "advise"})
    assert answer.status_code == 422
    assert 'value="Patent"' in answer.text


def test_codes_are_found_by_the_beginnings_of_words_and_shown_with_their_place(clinic: Demo, owner: Person) -> None:
    system = {
        "resourceType": "CodeSystem", "url": CODES, "status": "active", "content": "complete", "name": "Stock",
        "hierarchyMeaning": "is-a", "caseSensitive": True,
        "concept": [{"code": "drug", "display": "Medicine", "concept": [
            {"code": "para", "display": "Paracetamol tablet",
             "designation": [{"language": "fr", "value": "Comprimé de paracétamol"}]}]}],
    }  # fmt: skip
    assert clinic.client().post("CodeSystem", system).status == 201
    # Who does not know its URL chooses it; FHIR's own are there with it.
    listed = owner.get("definitions/codes/").text
    assert ">Stock</bdi>" in listed and "v3-ActCode" in listed
    for each in re.findall(r'href="\?(system=[^"]+)"', listed):
        assert "<tbody>" in owner.get(f"definitions/codes/?{each}").text, each
    found = owner.get(f"definitions/codes/?system={CODES}&q=comp+para")
    assert "Comprimé de paracétamol" in found.text
    assert "drug" not in owner.get(f"definitions/codes/?system={CODES}&q=comp+para", htmx=True).text
    concept = owner.get(f"definitions/codes/concept?system={CODES}&code=para")
    assert "drug" in concept.text
    assert "para" in owner.get(f"definitions/codes/concept?system={CODES}&code=drug").text
    unknown = owner.get("definitions/codes/?system=http://nowhere.example/cs&q=a")
    assert unknown.status_code == 200 and 'role="alert"' in unknown.text


def test_a_code_system_is_imported_from_a_table_searched_and_removed(clinic: Demo, owner: Person) -> None:
    url, table = "http://clinic.example/fhir/CodeSystem/rooms", b"code,display,parent\nfloor,Floor,\nroom,Room of the floor,floor\n"
    form = {"format": "csv", "system": url, "version": "1", "name": "Rooms"}
    begun = owner.post("definitions/systems/import", {**form, "content": (io.BytesIO(table), "rooms.csv")})
    assert begun.status_code == 303
    assert url in owner.get("definitions/systems/imports", htmx=True).text
    tenant_id = tenants.find(session(), clinic.slug).tenant.id
    imports.run_jobs(session(), tenant_id)
    assert "2 codes" in owner.get("definitions/systems/").text
    assert url in owner.get("definitions/systems/names", htmx=True).text
    assert "Room of the floor" in owner.get(f"definitions/codes/?system={url}&q=roo+flo").text
    assert owner.post("definitions/systems/remove", {"system": url, "version": "1"}).status_code == 303
    assert url not in owner.get("definitions/systems/names").text


def test_a_file_of_some_megabytes_is_taken(owner: Person) -> None:
    table = b"code,display\n" + b"".join(b"c%d,%s\n" % (i, b"word " * 60) for i in range(7000))
    assert len(table) > 2_000_000
    form = {"format": "csv", "system": "http://clinic.example/fhir/CodeSystem/large", "csrf": owner.csrf}
    sent = FileStorage(io.BytesIO(table), "large.csv")
    # In memory as a whole: the client's own way leaves a temporary file open.
    boundary, body = encode_multipart({**form, "version": "1", "content": sent})
    kind = f'multipart/form-data; boundary="{boundary}"'
    answer = owner.http.post(f"{owner.base}/definitions/systems/import", data=body, content_type=kind)
    assert answer.status_code == 303


def test_an_import_without_a_file_is_refused(owner: Person) -> None:
    assert owner.post("definitions/systems/import", {"format": "csv"}).status_code == 422
    lost = owner.post("definitions/systems/import", {"format": "csv", "file": "../secret", "system": "http://x.example"})
    assert lost.status_code == 422 and 'role="alert"' in lost.text


@pytest.mark.parametrize("lang", ["fr", "en", "es", "ar"])
@pytest.mark.parametrize("path", ["", "review/", "rules/", "systems/", "codes/", f"codes/?system={CODES}"])
def test_the_pages_read_well_in_every_language(owner: Person, path: str, lang: str) -> None:
    page = owner.get(f"definitions/{path}", lang=lang)
    assert page.status_code == 200
    assert faults(page.text, lang, whole=True) == []
