"""The operator's commands, called in this process on the run's database."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli import commands, main
from fhir_server.settings import settings
from tests.conftest import TestTenant

Call = Callable[..., Any]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command with --json and gives what it printed; `code` is the exit code that is expected."""
    monkeypatch.setattr(settings, "max_bundle_entries", settings.max_bundle_entries)

    def run(*arguments: object, code: int = 0) -> Any:
        result = CliRunner().invoke(commands, [*map(str, arguments), "--json"], standalone_mode=False)
        if result.exception:
            raise result.exception
        assert (result.return_value or 0) == code, result.output
        return json.loads(result.stdout)

    return run


def _patient(number: int, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number}", **more}


def _transaction(*resources: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    entries = [{"resource": r, "request": {"method": "POST", "url": r["resourceType"]}} for r in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def test_tenants_are_made_listed_suspended_and_resumed(call: Call) -> None:
    made = call("tenant", "create", "cli-one", "--name", "One", "--zone", "Africa/Dakar")
    assert (made["slug"], made["name"], made["status"]) == ("cli-one", "One", "active")
    assert call("tenant", "suspend", "cli-one")["status"] == "suspended"
    assert "suspended" in [row["status"] for row in call("tenant", "list") if row["slug"] == "cli-one"]
    assert call("tenant", "resume", "cli-one")["status"] == "active"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tenant", "create", "cli-twice"], "already a tenant cli-twice"),
        (["tenant", "create", "Not A Slug"], "a slug is"),
        (["tenant", "create", "x", "--zone", "Mars/Base"], "no IANA time zone"),
        (["tenant", "suspend", "nobody"], "no tenant nobody"),
        (["token", "--tenant", "nobody", "--scope", "system/*.rs"], "no such tenant"),
        (["token", "--tenant", "cli-twice", "--scope", "everything"], "cannot be enforced"),
        (["token", "--tenant", "cli-twice", "--scope", "system/*.rs", "--minutes", "0"], "minutes"),
        (["load", "--tenant", "cli-twice", "/no/such/file"], "not a file or folder"),
        (["load", "--tenant", "cli-twice"], "PATH"),
        (["nonsense"], "No such command"),
    ],
)
def test_mistakes_are_explained(
    arguments: list[str], said: str, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "cli-twice" not in [row["slug"] for row in call("tenant", "list")]:
        call("tenant", "create", "cli-twice")
    monkeypatch.setattr("sys.argv", ["fhir-server", *arguments])
    assert main() in (1, 2)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_token_works_and_only_its_digest_is_stored(call: Call, tenant: TestTenant) -> None:
    from fhir_server.rest.dispatch import session
    from tests.client import Client

    made = call("token", "--tenant", tenant.slug, "--scope", "system/Patient.rs", "--minutes", "5")
    assert (made["token_type"], made["expires_in"], made["scope"]) == ("Bearer", 300, "system/Patient.rs")
    client = Client(tenant.slug, made["access_token"])
    assert client.get("Patient").status == 200
    assert client.post("Patient", {"resourceType": "Patient"}).status == 403
    db = session()
    db.enter(tenant.id, None, 1)
    stored = db.run([("SELECT encode(hash, 'escape') || scope || client_id FROM access_token", ())], final=True)[0]
    assert not any(made["access_token"].encode() in (row[0] or b"") for row in stored)


def test_bundles_and_ndjson_are_loaded_once(call: Call, new_tenant: Callable[[], TestTenant], tmp_path: Path) -> None:
    tenant = new_tenant()
    client = tenant.client()
    (tmp_path / "a.json").write_text(json.dumps(_transaction(_patient(1), _patient(2))))
    with gzip.open(tmp_path / "b.ndjson.gz", "wt") as file:
        file.write("".join(json.dumps(_patient(n)) + "\n\n" for n in range(450)))
    (tmp_path / "c.json").write_text(json.dumps(_patient(1000)))
    (tmp_path / "ignored.txt").write_text("?")
    first = call("load", "--tenant", tenant.slug, tmp_path)
    assert [(Path(f["file"]).name, f["status"], f["resources"]) for f in first["files"]] == [
        ("a.json", "loaded", 2),
        ("b.ndjson.gz", "loaded", 450),
        ("c.json", "loaded", 1),
    ]
    assert client.get("Patient?_summary=count").json["total"] == 453
    again = call("load", "--tenant", tenant.slug, tmp_path)
    assert {f["status"] for f in again["files"]} == {"already loaded"}
    assert again["resources"] == 453
    assert client.get("Patient?_summary=count").json["total"] == 453
    assert client.get("Patient/p7").json["meta"]["versionId"] == "1"
    checked = call("check", "--tenant", tenant.slug)
    assert checked["ok"]
    assert call("reindex", "--tenant", tenant.slug)["repaired"] == 0


def test_a_refused_transaction_leaves_nothing_and_says_why(
    call: Call, new_tenant: Callable[[], TestTenant], tmp_path: Path
) -> None:
    tenant = new_tenant()
    bad = _transaction(_patient(1), {"resourceType": "Patient", "gender": "unheard-of"})
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    (tmp_path / "cut.json").write_text('{"resourceType": "Bund')
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"{}" * 100)[:20])
    total = call("load", "--tenant", tenant.slug, tmp_path, code=1)
    assert [f["status"] for f in total["files"]] == ["failed"] * 3
    assert "Bundle.entry[1]" in total["files"][0]["messages"][0]
    assert tenant.client().get("Patient?_summary=count").json["total"] == 0


def test_of_ndjson_only_the_wrong_lines_are_left_out(
    call: Call, new_tenant: Callable[[], TestTenant], tmp_path: Path
) -> None:
    tenant = new_tenant()
    lines = [json.dumps(_patient(n)) for n in range(20)]
    lines[3], lines[11] = "{", json.dumps({"resourceType": "Nonsense", "id": "x"})
    (tmp_path / "some.ndjson").write_text("\n".join(lines))
    total = call("load", "--tenant", tenant.slug, tmp_path / "some.ndjson", code=1)
    assert (total["resources"], total["failed"]) == (18, 2)
    assert [m.partition(":")[0] for m in total["files"][0]["messages"]] == ["line 4", "line 12"]
    assert tenant.client().get("Patient?_summary=count").json["total"] == 18


def test_a_batch_counts_its_refused_entries(call: Call, new_tenant: Callable[[], TestTenant], tmp_path: Path) -> None:
    tenant = new_tenant()
    batch = _transaction(_patient(1), {"resourceType": "Patient", "gender": "unheard-of"}, kind="batch")
    (tmp_path / "batch.json").write_text(json.dumps(batch))
    total = call("load", "--tenant", tenant.slug, tmp_path / "batch.json", code=1)
    assert (total["resources"], total["failed"]) == (1, 1)
    assert "Bundle.entry[1]" in total["files"][0]["messages"][0]


def test_a_load_that_was_interrupted_goes_on_where_it_was(
    call: Call, new_tenant: Callable[[], TestTenant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_server.cli.loading import Loader

    tenant = new_tenant()
    file = tmp_path / "no-ids.ndjson"
    file.write_text("".join(json.dumps({"resourceType": "Patient"}) + "\n" for _ in range(500)))
    original, batches = Loader.store, []

    def store(self: Loader, body: bytes, source: str, position: int, kept: Any) -> Any:
        if len(batches) == 1:
            raise RuntimeError("the machine went away")
        batches.append(position)
        return original(self, body, source, position, kept)

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "store", store)
        with pytest.raises(RuntimeError, match="went away"):
            call("load", "--tenant", tenant.slug, file)
    assert tenant.client().get("Patient?_summary=count").json["total"] == 200
    total = call("load", "--tenant", tenant.slug, file)
    assert total["files"][0]["resources"] == 500
    assert tenant.client().get("Patient?_summary=count").json["total"] == 500
