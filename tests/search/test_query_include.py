"""_include and _revinclude: levels, wildcards, limits, and what the caller may not see."""

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Forbidden
from fhir_server.interactions.search import matches
from fhir_server.search import drive
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from tests.search.query_walk import bundle, context, fill, ids, new_context


def refer(kind: str, id_: str, **links: str) -> dict[str, Any]:
    return {"resourceType": kind, "id": id_} | {name: {"reference": target} for name, target in links.items()}


RESOURCES = [
    refer("Organization", "root"),
    refer("Organization", "middle", partOf="Organization/root"),
    refer("Organization", "leaf", partOf="Organization/middle"),
    refer("Patient", "p1", managingOrganization="Organization/leaf"),
    refer("Patient", "p2", managingOrganization="Organization/leaf"),
    refer("Patient", "p3", managingOrganization="Organization/gone"),
    refer("Observation", "o1", subject="Patient/p1") | {"status": "final", "code": {"text": "x"}},
    refer("Observation", "o2", subject="Patient/p1") | {"status": "final", "code": {"text": "x"}},
    refer("Observation", "o3", subject="Group/g1") | {"status": "final", "code": {"text": "x"}},
    refer("Group", "g1") | {"type": "person", "actual": True},
    {
        "resourceType": "Provenance", "id": "v1", "recorded": "2020-01-01T00:00:00Z",
        "target": [{"reference": "Observation/o1"}], "agent": [{"who": {"reference": "Organization/root"}}],
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def filled() -> Context:
    ctx = new_context()
    fill(ctx, RESOURCES)
    return ctx


TABLE = [
    ("Patient", "_id=p1&_include=Patient:organization", {"Organization/leaf"}),
    ("Patient", "_id=p1,p2&_include=Patient:organization", {"Organization/leaf"}),
    ("Patient", "_id=p3&_include=Patient:organization", set()),
    ("Patient", "_id=p1&_include=Patient:organization:Organization", {"Organization/leaf"}),
    ("Patient", "_id=p1&_include=Patient:organization:Patient", set()),
    (
        "Patient",
        "_id=p1&_include=Patient:organization&_include:iterate=Organization:partof",
        {"Organization/leaf", "Organization/middle", "Organization/root"},
    ),
    ("Patient", "_id=p1&_include=Patient:organization&_include=Organization:partof", {"Organization/leaf"}),
    ("Patient", "_id=p1&_include=*", {"Organization/leaf"}),
    ("Patient", "_id=p1&_include=Patient:*", {"Organization/leaf"}),
    ("Patient", "_id=p1&_revinclude=Observation:patient", {"Observation/o1", "Observation/o2"}),
    ("Patient", "_id=p1&_revinclude=Observation:*", {"Observation/o1", "Observation/o2"}),
    (
        "Patient",
        "_id=p1&_revinclude=Observation:subject&_revinclude:iterate=Provenance:target",
        {"Observation/o1", "Observation/o2", "Provenance/v1"},
    ),
    ("Observation", "_id=o1,o3&_include=Observation:subject", {"Patient/p1", "Group/g1"}),
    ("Observation", "_id=o1,o3&_include=Observation:subject:Group", {"Group/g1"}),
    ("Observation", "_id=o1,o3&_include=Observation:patient", {"Patient/p1"}),
    (
        "Observation",
        "_id=o1&_include=Observation:patient&_include:iterate=Patient:organization&_revinclude=Provenance:target",
        {"Patient/p1", "Organization/leaf", "Provenance/v1"},
    ),
    ("Observation", "_id=o1&_revinclude=*", {"Provenance/v1"}),
]


@pytest.mark.parametrize(("kind", "query", "expected"), TABLE, ids=[query for _, query, _ in TABLE])
def test_includes(filled: Context, kind: str, query: str, expected: set[str]) -> None:
    """Exactly these resources are included, once, and not counted as matches."""
    page = bundle(filled, kind, query)
    included = ids(page, "include")
    assert set(included) == expected
    assert len(included) == len(expected)


def test_includes_can_be_told_apart(filled: Context) -> None:
    """A wrong row would fail."""
    page = bundle(filled, "Patient", "_id=p1&_include=Patient:organization")
    assert set(ids(page, "include")) != {"Organization/root"}


def test_match_is_not_included_again(filled: Context) -> None:
    """An organization that matches is not repeated as an include."""
    page = bundle(filled, "Organization", "_include:iterate=Organization:partof")
    assert sorted(ids(page)) == ["Organization/leaf", "Organization/middle", "Organization/root"]
    assert ids(page, "include") == []


def test_cut_is_announced(filled: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """More includes than the limit: the first of them, and an outcome entry that says so."""
    monkeypatch.setattr(settings, "max_includes", 1)
    page = bundle(filled, "Patient", "_id=p1&_revinclude=Observation:patient")
    assert len(ids(page, "include")) == 1
    outcome = [entry["resource"] for entry in page["entry"] if entry["search"]["mode"] == "outcome"]
    assert [issue["code"] for issue in outcome[0]["issue"]] == ["too-costly"]


@pytest.mark.parametrize(
    "query", ["_include=Patient", "_include=Nothing:here", "_include=Patient:name", "_include:odd=Patient:organization"]
)
def test_refused(filled: Context, query: str) -> None:
    """Includes that cannot be read are refused with the parameter's name."""
    with pytest.raises(FhirError) as error:
        bundle(filled, "Patient", query)
    assert error.value.status == 400
    assert (error.value.issues[0].expression or "").startswith("http._include")


class TestScopes:
    """The caller's scopes narrow includes; a chain or `_has` through what may not be searched is refused (smart-138)."""

    @pytest.fixture
    def limited(self, filled: Context) -> Context:
        drive.forget()
        ctx = context(filled.tenant.id, "system/Patient.rs system/Organization.rs")
        return replace(ctx, base=filled.base)

    def test_include(self, limited: Context) -> None:
        page = bundle(limited, "Patient", "_id=p1&_include=Patient:organization&_revinclude=Observation:patient")
        assert ids(page, "include") == ["Organization/leaf"]

    def test_include_of_everything(self, limited: Context) -> None:
        page = bundle(limited, "Patient", "_id=p1&_include=*&_revinclude=*")
        assert ids(page, "include") == ["Organization/leaf"]

    def test_has(self, limited: Context) -> None:
        with pytest.raises(Forbidden):
            bundle(limited, "Patient", "_has:Observation:patient:status=final")

    def test_chain(self, filled: Context) -> None:
        ctx = context(filled.tenant.id, "system/Observation.rs")
        with pytest.raises(Forbidden):
            bundle(ctx, "Observation", "patient._id=p1")
        assert len(ids(bundle(filled, "Observation", "patient._id=p1"))) == 2

    def test_whole_system(self, limited: Context) -> None:
        page = bundle(limited, "", "_count=50&_total=accurate")
        assert {each.partition("/")[0] for each in ids(page)} == {"Patient", "Organization"}
        assert page["total"] == 6

    def test_named_type(self, limited: Context) -> None:
        with pytest.raises(Forbidden):
            bundle(limited, "", "_type=Patient,Observation")

    def test_letter_matters(self, filled: Context) -> None:
        """A type that may be read but not searched is not a row source."""
        assert parse_scopes("system/Patient.r").types("s") == frozenset()
        ctx = context(filled.tenant.id, "system/Patient.s system/Observation.r")
        assert ids(bundle(ctx, "", "_count=50")) == ["Patient/p3", "Patient/p2", "Patient/p1"]


class TestNarrowing:
    """What granular scopes name holds for every source of rows."""

    @pytest.fixture
    def narrowed(self) -> Context:
        ctx = new_context()
        secret = {"meta": {"tag": [{"code": "open"}]}}
        shown = [{**row, **secret} for row in RESOURCES if row["id"] in ("p1", "o1", "leaf", "root")]
        hidden = [row for row in RESOURCES if row["id"] not in ("p1", "o1", "leaf", "root")]
        fill(ctx, [*shown, *hidden])
        drive.forget()
        scope = " ".join(f"system/{name}.rs?_tag=open" for name in ("Patient", "Observation", "Organization"))
        return context(ctx.tenant.id, scope)

    def test_matches_and_counts(self, narrowed: Context) -> None:
        page = bundle(narrowed, "Patient", "_total=accurate")
        assert (ids(page), page["total"]) == (["Patient/p1"], 1)
        assert bundle(narrowed, "Patient", "_summary=count")["total"] == 1
        assert ids(bundle(narrowed, "Patient", "_id=p2")) == []
        assert ids(bundle(narrowed, "Patient", "_sort=-_lastUpdated")) == ["Patient/p1"]

    def test_whole_system(self, narrowed: Context) -> None:
        page = bundle(narrowed, "", "_total=accurate")
        assert page["total"] == 4
        assert sorted(ids(page)) == ["Observation/o1", "Organization/leaf", "Organization/root", "Patient/p1"]

    def test_includes(self, narrowed: Context) -> None:
        page = bundle(narrowed, "Patient", "_include:iterate=*&_revinclude=Observation:patient")
        assert sorted(ids(page, "include")) == ["Observation/o1", "Organization/leaf"]

    def test_chains_and_has(self, narrowed: Context) -> None:
        assert ids(bundle(narrowed, "Organization", "partof._id=middle")) == []
        assert ids(bundle(narrowed, "Organization", "_has:Patient:organization:_id=p1,p2")) == ["Organization/leaf"]
        assert ids(bundle(narrowed, "Organization", "_has:Patient:organization:_id=p2")) == []
        assert ids(bundle(narrowed, "Patient", "_has:Observation:patient:_id=o2")) == []

    def test_conditions(self, narrowed: Context) -> None:
        assert [match.id for match in matches(narrowed, "Patient", [("_id", "p1,p2")])] == ["p1"]
