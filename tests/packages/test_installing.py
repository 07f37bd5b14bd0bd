"""Packages in a tenant: what is stored, when it counts, and how it goes away again."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.security.roles import roles
from tests.client import Client
from tests.conftest import TestTenant
from tests.consent.people import user
from tests.packages.making import (
    FHIR,
    URL,
    code_system,
    guide,
    install,
    parameter,
    profile,
    remove,
    told,
    value_set,
)

NAME_FIRST = {"id": "Patient.name", "path": "Patient.name", "min": 1}


def _basic(version: str = "1.0.0", **more: Any) -> bytes:
    system = code_system("colours", "red", "green", version=version)
    values = value_set("colours", {"system": system["url"]}, version=version)
    return guide(
        "test.basic", version, profile("named-patient", elements=[NAME_FIRST], version=version), system, values, **more
    )


@pytest.fixture
def client(new_tenant: Callable[[], TestTenant]) -> Client:
    """A client that may do everything in a tenant of the test's own."""
    return new_tenant().client()


def test_resources_are_stored_as_the_tenants_own_with_the_packages_tag(client: Client) -> None:
    answer = install(client, _basic())
    assert answer.status == 200, answer.text
    (package,) = told(answer, "package")
    assert (package["name"], package["version"], package["resources"], package["asked"]) == (
        "test.basic", "1.0.0", 3, True,
    )  # fmt: skip
    stored = client.get("StructureDefinition/named-patient").json
    assert stored["meta"]["tag"] == [{"system": "urn:salam:CodeSystem:package", "code": "test.basic#1.0.0"}]
    found = client.get(f"ValueSet?url={URL}/ValueSet/colours&_tag=urn:salam:CodeSystem:package|test.basic%231.0.0")
    assert found.json["total"] == 1


def test_installing_again_changes_nothing(client: Client) -> None:
    assert install(client, _basic()).status == 200
    before = client.get("_history?_count=100").json["entry"]
    again = install(client, _basic())
    assert again.status == 200
    assert told(again) == ["test.basic#1.0.0 is installed already."]
    assert client.get("_history?_count=100").json["entry"] == before


def test_other_content_under_a_known_version_is_refused(client: Client) -> None:
    assert install(client, _basic()).status == 200
    other = install(client, _basic(description="rebuilt"))
    assert other.status == 409
    assert "new version" in other.issues[0]["details"]["text"]


def test_two_versions_stand_side_by_side(client: Client) -> None:
    assert install(client, _basic("1.0.0")).status == 200
    assert install(client, _basic("1.1.0")).status == 200
    assert client.get("StructureDefinition/named-patient").json["version"] == "1.0.0"
    assert client.get("StructureDefinition/named-patient-1.1.0").json["version"] == "1.1.0"
    assert [each["version"] for each in told(client.get("$packages"), "package")] == ["1.0.0", "1.1.0"]
    which = remove(client, "test.basic")
    assert which.status == 409
    assert "1.0.0, 1.1.0" in which.issues[0]["details"]["text"]
    assert remove(client, "test.basic", "1.0.0").status == 200
    assert client.get("StructureDefinition/named-patient").status == 410
    assert client.get("StructureDefinition/named-patient-1.1.0").status == 200


def test_a_newer_version_replaces_an_older_one(client: Client) -> None:
    old = guide("test.basic", "1.0.0", profile("kept"), profile("dropped"))
    new = guide("test.basic", "2.0.0", profile("kept", version="2.0.0"), profile("added", version="2.0.0"))
    assert install(client, old).status == 200
    answer = install(client, new, replace=True)
    assert told(answer, "removed") == ["test.basic#1.0.0"]
    assert client.get("StructureDefinition/kept").json["version"] == "2.0.0"
    assert client.get("StructureDefinition/kept").json["meta"]["versionId"] == "2"
    assert client.get("StructureDefinition/dropped").status == 410
    assert [each["version"] for each in told(client.get("$packages"), "package")] == ["2.0.0"]


def test_an_id_that_is_taken_is_left_to_its_owner(client: Client) -> None:
    mine = {**profile("named-patient"), "url": f"{URL}/StructureDefinition/mine"}
    assert client.request("PUT", "StructureDefinition/named-patient", mine).status == 201
    assert install(client, _basic()).status == 200
    assert client.get("StructureDefinition/named-patient").json["url"].endswith("/mine")
    assert client.get("StructureDefinition/named-patient-1.0.0").json["url"].endswith("/named-patient")
    assert remove(client, "test.basic").status == 200
    assert client.get("StructureDefinition/named-patient").status == 200


def test_what_a_package_brought_is_not_changed_by_clients(client: Client) -> None:
    assert install(client, _basic()).status == 200
    stored = client.get("StructureDefinition/named-patient").json
    changed = client.request("PUT", "StructureDefinition/named-patient", {**stored, "title": "Mine"})
    assert changed.status == 409
    assert "test.basic#1.0.0" in changed.issues[0]["details"]["text"]
    assert client.request("DELETE", "StructureDefinition/named-patient").status == 409
    entry = {"request": {"method": "DELETE", "url": "StructureDefinition/named-patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert client.post("", bundle).status == 409
    tag = {"system": "urn:salam:CodeSystem:package", "code": "test.basic#1.0.0"}
    assert client.post("ValueSet", {**value_set("own"), "meta": {"tag": [tag]}}).status == 422


def test_a_removed_package_leaves_its_history(client: Client) -> None:
    assert install(client, _basic()).status == 200
    assert told(remove(client, "test.basic"), "removed") == ["test.basic#1.0.0"]
    assert client.get("StructureDefinition/named-patient").status == 410
    assert client.get("StructureDefinition/named-patient/_history/1").status == 200
    assert remove(client, "test.basic").status == 404
    assert install(client, _basic()).status == 200
    assert client.get("StructureDefinition/named-patient").json["meta"]["versionId"] == "3"


def test_examples_and_other_types_are_left_out_unless_asked(client: Client) -> None:
    patient = b'{"resourceType":"Patient","id":"ex","name":[{"family":"Doe"}]}'
    files = {"package/example/Patient-ex.json": patient, "package/openapi/x.json": b"[]", "package/other/y.txt": b"?"}
    content = guide("test.examples", "1.0.0", profile("p"), files=files)
    assert install(client, content).status == 200
    assert client.get("Patient/ex").status == 404
    assert remove(client, "test.examples").status == 200
    assert install(client, content, examples=True).status == 200
    assert client.get("Patient/ex").status == 200
    assert remove(client, "test.examples").status == 200
    assert client.get("Patient/ex").status == 410


def test_examples_that_the_caller_could_not_create_are_left_out(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    consent = b'{"resourceType":"Consent","id":"ex","status":"active","scope":{"text":"x"},"category":[{"text":"x"}]}'
    event = (b'{"resourceType":"AuditEvent","id":"ex","type":{"code":"rest"},"recorded":"2026-01-01T00:00:00Z","agent":'
             b'[{"requestor":true}],"source":{"observer":{"display":"x"}}}')  # fmt: skip
    files = {"package/example/Consent-ex.json": consent, "package/example/AuditEvent-ex.json": event}
    content = guide("test.barred", "1.0.0", profile("p"), files=files)
    client = tenant.client()
    answer = install(client, content, examples=True)
    assert answer.status == 200
    assert "Examples of AuditEvent are left out" in answer.text
    assert client.get("Consent/ex").status == 200 and client.get("AuditEvent/ex").status == 404
    assert remove(client, "test.barred").status == 200
    answer = install(tenant.client("system/StructureDefinition.cruds operator"), content, examples=True)
    assert answer.status == 200
    assert "Examples of AuditEvent, Consent are left out" in answer.text
    assert client.get("Consent/ex").status == 410


def test_search_parameters_that_say_nothing_new_are_left_out(client: Client) -> None:
    content = guide(
        "test.search", "1.0.0",
        parameter("family", "Patient.name.family", kind="string"),
        parameter("birthdate", "Patient.birthDate | Patient.deceased", kind="date"),
        parameter("favourite", "Patient.extension.where(url = 'http://example.org/favourite').value", kind="token"),
        parameter("broken", "Patient.name.nonsense(", kind="token"),
    )  # fmt: skip
    answer = install(client, content)
    assert answer.status == 200, answer.text
    notes = told(answer)
    assert [note for note in notes if "Patient-family" in note and "already" in note]
    assert [note for note in notes if "Patient-birthdate" in note and "which stays" in note]
    assert [note for note in notes if "Patient-broken" in note and "cannot be indexed" in note]
    stored = [e["resource"]["code"] for e in client.get("SearchParameter?_count=50").json.get("entry", [])
              if "tag" in e["resource"].get("meta", {})]  # fmt: skip
    assert stored == ["favourite"]
    assert client.get("Patient?family=x").status == 200


def test_a_composite_rests_on_a_parameter_of_the_same_package(client: Client) -> None:
    favourite = parameter("favourite", "Patient.extension.where(url = 'http://example.org/f').value", kind="token")
    parts = [
        {"definition": favourite["url"], "expression": "extension.where(url = 'http://example.org/f').value"},
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate", "expression": "birthDate"},
    ]
    both = parameter("favourite-birth", "Patient", kind="composite", component=parts)
    answer = install(client, guide("test.composite", "1.0.0", both, favourite))
    assert answer.status == 200, answer.text
    assert told(answer, "package")[0]["resources"] == 2, told(answer)


def test_broken_minor_rules_are_noted_and_the_resource_is_kept(client: Client) -> None:
    lowercase = value_set("v", {"system": "http://example.org/s"}, name="no computer name")
    late = profile("p", elements=[{**NAME_FIRST, "constraint": [
        {"key": "x-1", "severity": "error", "human": "?", "expression": "madeUpFunction()"}
    ]}])  # fmt: skip
    both = code_system("dup", "a", "a")
    answer = install(client, guide("test.minor", "1.0.0", lowercase, late, both))
    assert answer.status == 200, answer.text
    assert [note for note in told(answer) if "x-1" in note]
    assert [note for note in told(answer) if "CodeSystem-dup" in note]
    assert client.get("CodeSystem/dup").status == 200


def test_a_narrative_that_could_do_harm_is_taken_out(client: Client) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>'
    bad = value_set("v", {"system": "http://example.org/s"}, text={"status": "generated", "div": div})
    assert install(client, guide("test.narrative", "1.0.0", bad)).status == 200
    assert "text" not in client.get("ValueSet/v").json


def test_structural_nonsense_refuses_all_or_is_left_out(client: Client) -> None:
    nonsense = {"resourceType": "ValueSet", "id": "nonsense", "status": 7, "compose": "all"}
    content = guide("test.nonsense", "1.0.0", nonsense, value_set("good", {"system": "http://example.org/s"}))
    answer = install(client, content)
    assert answer.status == 422
    assert "package/ValueSet-nonsense.json" in answer.issues[0]["details"]["text"]
    assert client.get("ValueSet/good").status == 404
    assert install(client, content, without_invalid=True).status == 200
    assert client.get("ValueSet/good").status == 200
    assert client.get("ValueSet/nonsense").status == 404


def test_profiles_rest_on_profiles_of_the_same_package(client: Client) -> None:
    upper = profile("upper", elements=[NAME_FIRST])
    lower = profile("lower", baseDefinition=upper["url"])
    assert install(client, guide("test.chain", "1.0.0", lower, upper)).status == 200
    lost = profile("lost", baseDefinition=f"{FHIR}Nowhere")
    answer = install(client, guide("test.lost", "1.0.0", lost))
    assert answer.status == 422
    assert "package/StructureDefinition-lost.json" in answer.issues[0]["details"]["text"]


def test_who_may_install(new_tenant: Callable[[], TestTenant]) -> None:
    tenant = new_tenant()
    for scope in ("system/*.cruds", "system/*.rs"):
        answer = install(tenant.client(scope), _basic())
        assert answer.status == 403, scope
        assert tenant.client(scope).post(
            "$remove-package",
            {"resourceType": "Parameters", "parameter": [{"name": "name", "valueString": "a.b"}]},
        ).status == 403  # fmt: skip
    assert tenant.client("system/*.rs").get("$packages").status == 200
    assert tenant.client("system/Patient.rs").get("$packages").status == 403


def test_a_binary_can_be_the_whole_body(client: Client) -> None:
    data = b64encode(_basic()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/gzip", "data": data}
    assert client.post("$install-package", binary).status == 200
    assert client.post("$install-package", {**binary, "data": "AAAA"}).status == 422
    empty = {"resourceType": "Binary", "contentType": "application/gzip"}
    assert client.post("$install-package", empty).status == 400


@pytest.mark.parametrize("role", [name for name, each in roles().items() if not each.personal])
def test_which_roles_may_install(new_tenant: Callable[[], TestTenant], role: str) -> None:
    person = user(new_tenant(), role)
    expected = 200 if "definitions" in roles()[role].may else 403
    assert install(person, _basic()).status == expected
    assert remove(person, "test.basic").status == expected


def test_a_token_that_reaches_less_than_the_role_installs_nothing(new_tenant: Callable[[], TestTenant]) -> None:
    person = user(new_tenant(), "manager", scope="user/Appointment.rs user/StructureDefinition.rs")
    assert install(person, _basic()).status == 403
    assert person.get("$packages").status == 200


def test_an_index_that_lies_is_not_believed(client: Client) -> None:
    index = b'{"index-version":2,"files":[{"filename":"gone.json","resourceType":"Patient","id":"x"}]}'
    content = guide("test.index", "1.0.0", profile("p"), files={"package/.index.json": index})
    answer = install(client, content)
    assert answer.status == 200
    assert told(answer, "package")[0]["resources"] == 1


def test_neither_tags_nor_conditions_get_around_the_package(client: Client) -> None:
    assert install(client, _basic()).status == 200
    tag = {"system": "urn:salam:CodeSystem:package", "code": "test.basic#1.0.0"}
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [tag]}}]}
    assert client.post("ValueSet/colours/$meta-delete", meta).status == 409
    assert client.post("ValueSet/colours/$meta-add", meta).status == 200
    assert client.request("DELETE", f"ValueSet?url={URL}/ValueSet/colours").status == 409
    patch = [{"op": "replace", "path": "/status", "value": "retired"}]
    answer = client.request("PATCH", "ValueSet/colours", patch, content_type="application/json-patch+json")
    assert answer.status == 409
    assert client.get("ValueSet/colours").json["meta"]["versionId"] == "1"


def test_what_is_the_server_s_own_stays_so(client: Client) -> None:
    """What this server writes claims its own definitions: nobody else's stand under their urls."""
    ticket, queue = "urn:salam:StructureDefinition:queue-ticket", "urn:salam:SearchParameter:Task-queue"
    theirs = [
        profile("other-ticket", "Task", [{"id": "Task.restriction", "path": "Task.restriction", "min": 1}], url=ticket),
        parameter("colour", "Task.code", "Task", url=queue),
    ]
    answer = install(client, guide("test.own", "1.0.0", profile("theirs"), *theirs))
    assert answer.status == 200, answer.text
    (note,) = [note for note in told(answer) if "already" in note]
    assert "2 times" in note and "other-ticket" in note
    assert client.search(f"StructureDefinition?url={ticket}&name=Other-ticket") == []
    for each in theirs:
        refused = client.post(each["resourceType"], each)
        assert (refused.status, refused.issues[0]["expression"]) == (422, [f"{each['resourceType']}.url"])


def test_the_same_about_several_members_is_said_once(client: Client) -> None:
    rule = {"key": "odd-1", "severity": "error", "human": "x", "expression": "name.nonsense("}
    odd = [profile(f"odd{n}", elements=[{"id": "Patient.name", "path": "Patient.name", "constraint": [rule]}]) for n in range(5)]
    answer = install(client, guide("test.odd", "1.0.0", *odd))
    assert answer.status == 200, answer.text
    (note,) = [note for note in told(answer) if "odd-1" in note]
    assert "(5 times: " in note and note.endswith(", …)") and note.count("/odd") == 3
