"""Pages: links, cursors, what changes during a walk, totals, and the shape of the Bundle."""

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, Invalid
from fhir_server.interactions.search import search
from fhir_server.search import drive
from tests.search.query_walk import BASE, bundle, context, fill, ids, new_context, next_query, walk


def patient(number: int, **more: Any) -> dict[str, Any]:
    name = [{"family": f"Name{number % 7}", "given": [f"G{number:03}"]}]
    born = f"19{number % 90 + 10}-01-01"
    return {"resourceType": "Patient", "id": f"p{number}", "name": name, "birthDate": born} | more


@pytest.fixture(scope="module")
def filled() -> Context:
    ctx = new_context()
    fill(ctx, [patient(n, gender="male" if n % 3 else "female") for n in range(40)])
    return ctx


@pytest.fixture(autouse=True)
def _counts_forgotten() -> Iterator[None]:
    drive.forget()
    yield
    drive.forget()


def link(page: dict[str, Any], relation: str) -> str | None:
    return next((each["url"] for each in page["link"] if each["relation"] == relation), None)


def test_links_and_entries(filled: Context) -> None:
    """self is what was processed, next and first as needed; entries carry fullUrl, resource and mode."""
    first = bundle(filled, "Patient", "gender=male&_count=5&_sort=family")
    assert first["resourceType"] == "Bundle"
    assert first["type"] == "searchset"
    assert link(first, "self") == f"{BASE}/Patient?gender=male&_count=5&_sort=family"
    assert link(first, "first") is None
    second = bundle(filled, "Patient", next_query(first) or "")
    assert link(second, "first") == f"{BASE}/Patient?gender=male&_count=5&_sort=family"
    entry = second["entry"][0]
    assert entry["fullUrl"] == f"{BASE}/Patient/{entry['resource']['id']}"
    assert entry["search"] == {"mode": "match"}


def test_self_link_survives_a_second_parse(filled: Context) -> None:
    """What needs encoding in the URL is encoded."""
    query = "name=" + quote("a&b=c, d\\,e+f#g é|$") + "&_count=3"
    page = bundle(filled, "Patient", query)
    assert parse_qsl(urlsplit(link(page, "self") or "").query) == parse_qsl(query)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(
    "sort", ["", "_sort=family", "_sort=-family", "_sort=_lastUpdated", "_sort=gender", "_sort=_id"]
)
def test_inserts_and_deletes_during_a_walk(sort: str, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What existed unchanged during the walk is shown exactly once; what was made later is not shown at all."""
    if dense:
        monkeypatch.setattr(drive, "DENSE", 2)
        monkeypatch.setattr(drive, "DENSE_SORTED", 2)
    ctx = new_context()
    rng = random.Random(sort)
    fill(ctx, [patient(n, gender=rng.choice(["male", "female"])) for n in range(30)])
    made = iter(range(100, 1000))

    def between() -> None:
        fill(ctx, [patient(next(made), gender=rng.choice(["male", "female"])) for _ in range(3)])

    found = walk(ctx, "Patient", f"_count=4&{sort}", between)
    assert sorted(found) == sorted(f"Patient/p{n}" for n in range(30))


def test_cursor_of_another_query_tenant_or_caller(filled: Context) -> None:
    """A cursor is good only for the query, the tenant and the caller it was made for, and unaltered."""
    query = next_query(bundle(filled, "Patient", "gender=male&_count=5")) or ""
    cursor = dict(parse_qsl(query))["_cursor"]
    assert len(ids(bundle(filled, "Patient", query))) == 5
    other = new_context()
    fill(other, [patient(1)])
    limited = context(filled.tenant.id, "system/Patient.rs")
    flipped = cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]
    attempts = [
        (filled, f"gender=female&_count=5&_cursor={cursor}"),
        (filled, f"gender=male&_count=6&_cursor={cursor}"),
        (other, query),
        (limited, query),
        (filled, f"gender=male&_count=5&_cursor={flipped}"),
        (filled, f"gender=male&_count=5&_cursor={cursor[:-4]}"),
        (filled, "gender=male&_count=5&_cursor="),
        (filled, "gender=male&_count=5&_cursor=%C3%A9"),
    ]
    for ctx, text in attempts:
        with pytest.raises(Invalid) as error:
            bundle(ctx, "Patient", text)
        assert error.value.issues[0].expression == "http._cursor"


def test_totals(filled: Context) -> None:
    """accurate and estimate count; none does not; a complete first page knows its total anyway."""
    assert bundle(filled, "Patient", "_total=accurate&_count=3")["total"] == 40
    assert bundle(filled, "Patient", "_total=estimate&_count=3")["total"] == 40
    assert "total" not in bundle(filled, "Patient", "_total=none")
    assert "total" not in bundle(filled, "Patient", "_count=3")
    assert bundle(filled, "Patient", "gender=female")["total"] == 14
    second = next_query(bundle(filled, "Patient", "_total=accurate&_count=30")) or ""
    assert bundle(filled, "Patient", second)["total"] == 40
    assert bundle(filled, "Patient", "gender=female&birthdate=lt1925&_total=accurate&_count=1")["total"] == 5


@pytest.mark.parametrize("query", ["_summary=count", "_count=0", "_count=0&_totalMethod=count"])
def test_count_only(filled: Context, query: str) -> None:
    """Only the total, no entries and no next page."""
    page = bundle(filled, "Patient", f"gender=female&{query}")
    assert page["total"] == 14
    assert "entry" not in page
    assert link(page, "next") is None


def test_estimate_of_many(filled: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what is counted exactly, the planner's figure, never less than what was counted."""
    monkeypatch.setattr("fhir_server.search.fetch._COUNTED_EXACTLY", 5)
    assert bundle(filled, "Patient", "_total=estimate&_count=3")["total"] >= 5


def test_page_is_capped(filled: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page larger than the server's limit is cut to it; the default applies without _count."""
    monkeypatch.setattr("fhir_server.settings.settings.max_page_size", 7)
    monkeypatch.setattr("fhir_server.settings.settings.page_size", 4)
    assert len(ids(bundle(filled, "Patient", "_count=1000000000000"))) == 7
    assert len(ids(bundle(filled, "Patient"))) == 4


def test_lenient(filled: Context) -> None:
    """Unknown parameters are dropped from the self link and reported; bad values still are errors."""
    page = bundle(filled, "Patient", "nam=x&gender:odd=y&gender=male&_sort=nothing&_count=50", lenient=True)
    assert link(page, "self") == f"{BASE}/Patient?gender=male&_count=50"
    assert len(ids(page)) == 26
    outcome = next(entry["resource"] for entry in page["entry"] if entry["search"]["mode"] == "outcome")
    assert [issue["expression"] for issue in outcome["issue"]] == [["http.nam"], ["http.gender:odd"], ["http._sort"]]
    with pytest.raises(Invalid):
        bundle(filled, "Patient", "birthdate=tomorrow", lenient=True)


REFUSED = [
    ("Patient", "nam=x", "http.nam", "Did you mean 'name'"),
    ("Patient", "birthdat=1990", "http.birthdat", "Did you mean 'birthdate'"),
    ("Patient", "name:fuzzy=x", "http.name:fuzzy", ":exact"),
    ("Patient", "birthdate=01/02/2020", "http.birthdate", "a date or dateTime"),
    ("Patient", "birthdate=2020-13", "http.birthdate", "a date or dateTime"),
    ("Patient", "birthdate=2021-02-29", "http.birthdate", "a date or dateTime"),
    ("Patient", "birthdate=xx2020", "http.birthdate", "prefix"),
    ("Patient", "gender=", "http.gender", "no value"),
    ("Patient", "name=a%00b", "http.name", "U+0000"),
    ("ValueSet", "url:below=%00", "http.url:below", "U+0000"),
    ("Patient", "identifier=a|b|c", "http.identifier", "system|code"),
    ("Patient", "identifier:of-type=a|b", "http.identifier:of-type", "system|code|value"),
    ("Patient", "active:missing=maybe", "http.active:missing", "true or false"),
    ("Patient", "organization=a b", "http.organization", "an id"),
    ("Patient", "name.family=x", "http.name.family", "no reference"),
    ("Patient", "organization.nam=x", "http.organization.nam", "'name'"),
    ("Patient", "organization:Nothing.name=x", "http.organization:Nothing.name", "cannot be used"),
    ("Patient", "_has:Observation:patient=x", "http._has:Observation:patient", "_has:[type]"),
    ("Patient", "_has:Observation:status:code=x", "http._has:Observation:status:code", "does not refer"),
    ("Patient", "_has:Observation:patient:cod=x", "http._has:Observation:patient:cod", "'code'"),
    ("Patient", "_count=-1", "http._count", "whole number"),
    ("Patient", "_count=ten", "http._count", "whole number"),
    ("Patient", "_total=some", "http._total", "accurate"),
    ("Patient", "_summary=most", "http._summary", "count"),
    ("Patient", "_sort=nothing", "http._sort", "nothing"),
    ("Patient", "_contained=true", "http._contained", "Contained"),
    ("Patient", "_filter=name", "http._filter", "operator"),
    ("Patient", '_filter=name eq "x', "http._filter", "quote"),
    ("Patient", "_filter=(name eq x", "http._filter", "bracket"),
    ("Patient", "_filter=name eq x y", "http._filter", "after its end"),
    ("Patient", "_filter=gender co x", "http._filter", "does not apply"),
    ("Patient", "_filter=nothing eq x", "http._filter", "nothing"),
    ("Patient", "_list=$current-problems", "http._list", "id of a List"),
    ("Patient", "_id:exact=x", "http._id:exact", "cannot be used"),
    ("Observation", "value-quantity=5|mg", "http.value-quantity", "number|system|code"),
    ("Observation", "value-quantity=many", "http.value-quantity", "number"),
    ("Observation", "value-quantity=5||", "http.value-quantity", "number||code"),
    ("Observation", "code-value-quantity=8480-6", "http.code-value-quantity", "joined by $"),
    ("Observation", "code-value-quantity=8480-6$many", "http.code-value-quantity", "number"),
    ("Observation", "code:in=http://nowhere.example/vs", "http.code:in", "value set"),
    ("Location", "near=here", "http.near", "latitude"),
    ("Location", "near=95|0", "http.near", "degrees"),
    ("Provenance", "target.name=x", "http.target.name", "name the one"),
    ("", "name=x", "http.name", "has no search parameter"),
    ("", "_type=Nothing", "http._type", "resource types"),
    ("", "_sort=name", "http._sort", "_lastUpdated"),
]


@pytest.mark.parametrize(("kind", "query", "expression", "words"), REFUSED, ids=[f"{k}?{q}" for k, q, _, _ in REFUSED])
def test_refused(filled: Context, kind: str, query: str, expression: str, words: str) -> None:
    """What cannot be used is refused with 400, the parameter's name and what is expected."""
    with pytest.raises(FhirError) as error:
        bundle(filled, kind, query)
    issue = error.value.issues[0]
    assert (error.value.status, issue.expression) == (400, expression)
    assert words in issue.text


def test_parts_of_resources(filled: Context) -> None:
    """_elements and _summary shape the entries."""
    page = bundle(filled, "Patient", "_elements=gender&_count=1")
    assert set(page["entry"][0]["resource"]) == {"resourceType", "id", "meta", "gender"}
    assert page["entry"][0]["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_compartment(filled: Context) -> None:
    """Only members of the compartment, of the type or of all types."""
    ctx = new_context()
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    fill(
        ctx,
        [
            patient(1),
            patient(2),
            observation | {"id": "a", "subject": {"reference": "Patient/p1"}},
            observation | {"id": "b", "performer": [{"reference": "Patient/p1"}]},
            observation | {"id": "c", "subject": {"reference": "Patient/p2"}},
        ],
    )
    assert sorted(ids(bundle(ctx, "Observation", compartment=("Patient", "p1")))) == ["Observation/a", "Observation/b"]
    assert sorted(ids(bundle(ctx, "", compartment=("Patient", "p1")))) == [
        "Observation/a", "Observation/b", "Patient/p1",
    ]  # fmt: skip
    assert ids(bundle(ctx, "Organization", compartment=("Patient", "p1"))) == []
    found = bundle(ctx, "Observation", "status=final&_total=accurate&_count=1", compartment=("Patient", "p1"))
    assert found["total"] == 2


def test_system_search(filled: Context) -> None:
    """Several types at once: _type, common parameters, order by _lastUpdated."""
    ctx = new_context()
    organization, group = {"resourceType": "Organization", "id": "o1", "name": "O"}, {"resourceType": "Group", "id": "p1"}
    fill(ctx, [patient(1), organization, group])
    assert sorted(ids(bundle(ctx, "", "_type=Patient,Organization"))) == ["Organization/o1", "Patient/p1"]
    assert sorted(ids(bundle(ctx, "", "_id=p1"))) == ["Group/p1", "Patient/p1"]
    assert sorted(walk(ctx, "", "_sort=_lastUpdated&_count=1")) == ["Group/p1", "Organization/o1", "Patient/p1"]
    assert ids(bundle(ctx, "", "_type=Patient,Group&_lastUpdated=gt2020&_sort=_id,-_lastUpdated"))
    assert sorted(ids(bundle(ctx, "", "_type=Patient,Organization&name=O"))) == ["Organization/o1"]


def test_another_tenant_sees_nothing(filled: Context) -> None:
    """The same searches in an empty tenant find nothing."""
    empty = new_context()
    for query in ("", "gender=male", "_id=p1", "name=name", "_sort=family", "birthdate=gt1900", "_sort=-_lastUpdated"):
        assert ids(bundle(empty, "Patient", query)) == []
    assert bundle(empty, "Patient", "_summary=count")["total"] == 0


def test_explain(filled: Context) -> None:
    """For operators: the statements with PostgreSQL's plan."""
    result = search(filled, "Patient", [("gender", "male"), ("name", "n")], url=f"{BASE}/Patient", explain=True)
    assert b"Index" in result.body
    assert b"SELECT" in result.body
