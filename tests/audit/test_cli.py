"""`fhir-server audit verify` and `list`."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.security import audit
from tests.audit.world import Log, patient


def call(*arguments: object, code: int = 0, text: bool = False) -> Any:
    result = CliRunner().invoke(
        commands, [*map(str, arguments), *([] if text else ["--json"])], standalone_mode=False
    )
    if result.exception:
        raise result.exception
    assert (result.return_value or 0) == code, result.output
    return result.output if text else json.loads(result.stdout)


@pytest.fixture
def noted(log: Log) -> Log:
    """A log with a creation and a failed sign-in, sealed by the first check."""
    log.store(patient("p1"))
    db = log.enter()
    event = audit.note(db, log.tenant_id, "login-failed", outcome=4, agent="user:u-1", detail={"email": "x@canary.org"})
    db.run([event], final=True)
    log.settled()
    assert call("audit", "verify", "--tenant", log.slug)["events"] == 2
    return log


def test_verify_says_that_nothing_was_changed(noted: Log) -> None:
    found = call("audit", "verify", "--tenant", noted.slug)
    assert (found["ok"], found["links"], found["events"], found["unsealed"], found["problems"]) == (True, 1, 2, 0, [])
    assert [len(bytes.fromhex(key["public"])) for key in found["keys"]] == [32]
    assert "the log is intact" in call("audit", "verify", "--tenant", noted.slug, text=True)


def test_verify_fails_for_a_changed_log(noted: Log) -> None:
    noted.tamper("UPDATE audit SET outcome = 0 WHERE tenant_id = %s AND outcome = 4", noted.tenant_id)
    found = call("audit", "verify", "--tenant", noted.slug, code=1)
    assert (found["ok"], [each["kind"] for each in found["problems"]]) == (False, ["changed"])
    assert "link 1: changed" in call("audit", "verify", "--tenant", noted.slug, code=1, text=True)


def test_verify_can_leave_the_newest_rows_unsealed(noted: Log) -> None:
    noted.store(patient("p2"))
    assert call("audit", "verify", "--no-seal", "--tenant", noted.slug)["unsealed"] == 1


def test_list(noted: Log) -> None:
    newest, oldest = call("audit", "list", "--tenant", noted.slug)
    assert (newest["event"], newest["outcome"], newest["agent"], newest["type"]) == ("login-failed", 4, "user:u-1", None)
    assert (oldest["event"], oldest["type"], oldest["resources"], oldest["client"]) == ("create", "Patient", 1, "app-1")
    assert call("audit", "list", "--tenant", noted.slug, "--event", "create") == [oldest]
    assert call("audit", "list", "--tenant", noted.slug, "--limit", "1") == [newest]
    assert call("audit", "list", "--tenant", noted.slug, "--since", "2100-01-01") == []
    assert "canary" not in call("audit", "list", "--tenant", noted.slug, text=True)
