"""fhir-server package …, called in this process on the run's database."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.cli.loading import LoadRefused
from fhir_server.conformance.packages import cache
from fhir_server.core.errors import FhirError
from fhir_server.settings import settings
from tests.conftest import TestTenant
from tests.packages.making import guide, hostile, profile

Call = Callable[..., Any]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command with --json, with a cache of the test's own, and gives what it printed."""
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(settings, "max_body_bytes", settings.max_body_bytes)

    def run(*arguments: object, code: int = 0) -> Any:
        result = CliRunner().invoke(commands, ["package", *map(str, arguments), "--json"], standalone_mode=False)
        if result.exception:
            raise result.exception
        assert (result.return_value or 0) == code, result.output
        return json.loads(result.stdout)

    return run


def test_from_the_file_to_the_tenant_and_back(call: Call, tenant: TestTenant, tmp_path: Path) -> None:
    file = tmp_path / "download.tgz"
    file.write_bytes(guide("cli.guide", "1.2.0", profile("cli"), dependencies={"cli.other": "1.0.0"}))
    (added,) = call("add", file)
    assert (added["name"], added["version"], added["status"]) == ("cli.guide", "1.2.0", "added")
    assert call("add", file)[0]["status"] == "replaced"
    assert call("list") == [{"name": "cli.guide", "version": "1.2.0"}]
    (shown,) = call("show", "cli.guide")
    assert shown["dependencies"] == {"cli.other": "1.0.0"}
    assert shown["resource"] == ["StructureDefinition/cli"]
    with pytest.raises(LoadRefused, match=r"cli\.other#1\.0\.0"):
        call("install", "cli.guide", "--tenant", tenant.slug)
    done = call("install", "cli.guide@1.2.x", "--tenant", tenant.slug, "--without-missing")
    assert [row["name"] for row in done["installed"]] == ["cli.guide"]
    assert call("list", "--tenant", tenant.slug)[0]["resources"] == 1
    assert call("show", "cli.guide", "--tenant", tenant.slug)[0]["resource"] == ["StructureDefinition/cli"]
    assert tenant.client().get("StructureDefinition/cli").status == 200
    assert call("remove", "cli.guide@1.2.0") == {"removed": ["cli.guide#1.2.0"]}
    assert call("list") == []
    assert call("remove", "cli.guide", "--tenant", tenant.slug)["removed"] == ["cli.guide#1.2.0"]
    assert call("list", "--tenant", tenant.slug) == []


def test_a_file_is_installed_without_the_cache(call: Call, tenant: TestTenant, tmp_path: Path) -> None:
    file = tmp_path / "own.tgz"
    file.write_bytes(guide("cli.own", "1.0.0", profile("own")))
    assert call("install", file, "--tenant", tenant.slug)["installed"][0]["name"] == "cli.own"
    assert call("list") == []


def test_unpacked_folders_of_other_tools_are_taken(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / ".fhir" / "packages" / "cli.unpacked#1.0.0"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "package.json").write_text(
        json.dumps({"name": "cli.unpacked", "version": "1.0.0", "fhirVersions": ["4.0.1"]})
    )
    (folder / "package" / "StructureDefinition-p.json").write_text(json.dumps(profile("p")))
    assert call("add", folder)[0]["resources"] == 1
    shutil.rmtree(folder)
    assert call("add", tmp_path, code=1)[0]["status"] == "refused"


def test_what_is_no_package_is_not_kept(call: Call, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tgz", tmp_path / "bad.tgz"
    good.write_bytes(guide("cli.good", "1.0.0", profile("p")))
    bad.write_bytes(hostile(("package/../x.json", b"{}")))
    statuses = [row["status"] for row in call("add", good, bad, code=1)]
    assert statuses == ["added", "refused"]
    assert call("list") == [{"name": "cli.good", "version": "1.0.0"}]


def test_what_is_not_there_is_said(call: Call, tenant: TestTenant) -> None:
    for arguments in (["show", "nobody.here"], ["remove", "nobody.here@1.0.0"]):
        with pytest.raises(FhirError):
            call(*arguments)
    with pytest.raises(LoadRefused, match="not installed"):
        call("remove", "nobody.here", "--tenant", tenant.slug)


def test_the_servers_own_guide_is_built(call: Call, tmp_path: Path, tenant: TestTenant) -> None:
    built = call("build", "--output", tmp_path / "one")
    again = call("build", "--output", tmp_path / "two")
    assert built["digest"] == again["digest"]
    assert Path(built["file"]).name == f"salam.clinic#{built['version']}.tgz"
    assert call("add", built["file"])[0]["notes"] == []
