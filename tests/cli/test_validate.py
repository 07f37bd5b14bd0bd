"""fhir-server validate: what is stored, by the rules of now."""

import json
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.interactions.write import create
from fhir_server.rest.dispatch import session
from tests.client import Client
from tests.conftest import TestTenant

Json = dict[str, Any]
PROFILE = "http://example.org/StructureDefinition/named-patient"
TAG = "urn:salam:CodeSystem:validation|invalid"


def run(tenant: TestTenant, *arguments: str) -> tuple[int, Json]:
    line = ["validate", "--tenant", tenant.slug, "--json", *arguments]
    result = CliRunner().invoke(commands, line, standalone_mode=False)
    assert result.exception is None, result.exception
    return int(result.return_value or 0), json.loads(result.stdout)


@pytest.fixture(scope="module", autouse=True)
def filled(client: Client) -> None:
    """Three patients of whom two have no name, and a profile that demands one; nobody claims it."""
    for names in ({"name": [{"family": "Diop"}]}, {}, {}):
        client.create({"resourceType": "Patient", **names})
    client.create({
        "resourceType": "StructureDefinition", "url": PROFILE, "name": "NamedPatient", "status": "active",
        "kind": "resource", "abstract": False, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
    })  # fmt: skip


def test_by_the_rules_of_now(tenant: TestTenant, client: Client) -> None:
    assert run(tenant) == (0, {"resources": 4, "invalid": 0, "changed": 0, "rules": []})
    code, found = run(tenant, "--type", "Patient", "--profile", PROFILE)
    assert (code, found["resources"], found["invalid"]) == (1, 3, 2)
    (rule,) = found["rules"]
    assert (rule["type"], rule["rule"], rule["resources"]) == ("Patient", f"{PROFILE}#Patient.name", 2)
    assert "name" not in client.get(rule["example"]).json
    assert client.search(f"Patient?_tag={TAG}") == []


def test_marks_are_set_and_taken_off(tenant: TestTenant, client: Client) -> None:
    _, found = run(tenant, "--tag", "--type", "Patient", "--profile", PROFILE)
    assert found["changed"] == 2
    assert len(client.search(f"Patient?_tag={TAG}")) == 2
    assert run(tenant, "--tag", "--type", "Patient", "--profile", PROFILE)[1]["changed"] == 0
    # By the policy, which demands nothing, they are valid.
    assert run(tenant, "--tag")[1]["changed"] == 2
    assert client.search(f"Patient?_tag={TAG}") == []


@pytest.mark.parametrize("unknown", [("--type", "Patience"), ("--profile", "http://example.org/unknown")])
def test_unknown_types_and_profiles_are_refused(tenant: TestTenant, unknown: tuple[str, str]) -> None:
    assert CliRunner().invoke(commands, ["validate", "--tenant", tenant.slug, *unknown]).exit_code == 2


def test_the_policy_is_set_from_a_file(tenant: TestTenant, client: Client, tmp_path: Any) -> None:
    file = tmp_path / "validation.json"
    line = ["tenant", "set", tenant.slug, "--json", "--validation", str(file)]
    file.write_text(json.dumps({"types": {"Patient": {"mode": "sometimes"}}}))
    assert CliRunner().invoke(commands, line).exit_code == 2
    file.write_text(json.dumps({"types": {"Patient": {"mode": "tag", "profiles": [PROFILE]}}}))
    assert CliRunner().invoke(commands, line).exit_code == 0
    assert client.create({"resourceType": "Patient"})["meta"]["tag"] == [
        {"system": "urn:salam:CodeSystem:validation", "code": "invalid"}
    ]


def test_what_is_being_written_by_an_older_policy_is_not_walked_past(tenant: TestTenant) -> None:
    """It begins when the writers of before have ended."""
    written, go_on, ended = Event(), Event(), Event()
    before = run(tenant, "--type", "Patient")[1]["resources"]
    found: list[Json] = []

    def write() -> None:
        db = session()
        ctx = server_context(db, refresh(db, tenant.slug))
        db.enter(tenant.id, None, ctx.registry.version, writing=True)
        with db.hold():
            create(ctx, "Patient", {"resourceType": "Patient", "name": [{"family": "Late"}]})
            written.set()
            go_on.wait(60)
        db.commit()
        db.close()

    def walk() -> None:
        found.append(run(tenant, "--type", "Patient")[1])
        ended.set()
        session().close()

    writer, walker = Thread(target=write), Thread(target=walk)
    writer.start()
    assert written.wait(60)
    walker.start()
    try:
        wait_until(lambda: ended.is_set() or _waits(tenant))
        assert not ended.is_set()
    finally:
        go_on.set()
        writer.join()
        walker.join()
    assert found[0]["resources"] == before + 1


_WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 7 AND objid = $1 AND NOT granted"


def _waits(tenant: TestTenant) -> bool:
    return bool(session().plain([(_WAITING, (tenant.id,))])[0])


def wait_until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)
