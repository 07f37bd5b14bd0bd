"""Imported content answers as the same content in a CodeSystem resource, and as plain sets say, whatever it is."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from fhir_server.conformance.registry import base_registry
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.terminology.compose import contains, selection
from fhir_server.terminology.definitions import Definitions, imported_by
from fhir_server.terminology.resources import Held, Resources
from fhir_server.terminology.stored import StoredSystem
from tests.conftest import TestTenant
from tests.terminology.imported import import_table
from tests.terminology.random_systems import CODES, URL, Oracle, meaning, worlds

_versions = count(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def table(oracle: Oracle) -> str:
    rows = ["code,display,parent,inactive,property:colour:code"]
    for code, parents in oracle.parents.items():
        inactive = "true" if f"{code} inactive" in oracle.colours else ""
        rows.append(f"{code},Word {code},{'|'.join(sorted(parents))},{inactive},{oracle.colours[code]}")
    return "\n".join(rows)


@given(worlds())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_imported_content_means_the_same(
    tenant: TestTenant, folder: Path, world: tuple[dict[str, Any], Oracle, list[dict[str, Any]]]
) -> None:
    _, oracle, value_sets = world
    if "colour" in str(value_sets) and not any(oracle.colours[code] for code in oracle.parents):
        return  # A table without a colour declares none, and the filter is refused.
    version = str(next(_versions))
    import_table(folder, tenant.id, URL, table(oracle), version)
    db = session()
    db.enter(tenant.id, None, refresh(db, tenant.slug).version)
    here = Definitions(
        base_registry(), Resources(given=[Held(each, None) for each in value_sets]), imported_by(db, tenant.id)
    )
    system = here.require(URL)
    assert isinstance(system, StoredSystem) and system.version == version
    by_url = {value_set["url"]: value_set for value_set in value_sets}
    for value_set in value_sets:
        expected = meaning(oracle, by_url, value_set)
        found = selection(here, value_set)
        assert {c.code for part in found.parts for c in part.system.page(list(part.concepts))} == expected
        assert {code for code in [*CODES, "x"] if contains(here, value_set, URL, code)} == expected
