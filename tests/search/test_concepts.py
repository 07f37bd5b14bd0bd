"""Searching by terminology: `:in`, `:not-in`, `:below` and `:above` find what the standard's words say, for systems kept
as resources and for imported ones, and never by what another tenant has."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.search import concepts, used_concepts
from tests.client import Client
from tests.conftest import TestTenant
from tests.isolation.attackers import ids_of, put_all
from tests.search.imported import import_system
from tests.terminology.random_systems import URL, Oracle, meaning, worlds

New = Callable[[], TestTenant]
Json = dict[str, Any]
OTHER = "urn:other"


def observation(name: str, *codings: tuple[str | None, str], **more: Any) -> Json:
    coding = [{"system": system, "code": code} if system else {"code": code} for system, code in codings]
    return {
        "resourceType": "Observation", "id": name, "status": "final", "code": {"coding": coding or None, "text": "x"},
        "subject": {"reference": "Patient/p"}, **more,
    } if coding else {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "x"}, **more}  # fmt: skip


def found(client: Client, query: str, kind: str = "Observation") -> set[str]:
    answer = client.get(f"{kind}?{query}&_count=1000")
    return {each.partition("/")[2] for each in ids_of(answer) if not each.startswith("OperationOutcome")}


def asks(client: Client, oracle: Oracle, value_sets: list[Json], by_code: dict[str, set[str]]) -> None:
    """Every code's branch and every value set, against the plain sets of the oracle."""

    def expected(codes: set[str]) -> set[str]:
        return {name for code in codes for name in by_code.get(code, ())}

    everything = found(client, "")
    for code in oracle.parents:
        assert found(client, f"code:below={URL}|{code}") == expected({code, *oracle.below(code)}), code
        assert found(client, f"code:above={URL}|{code}") == expected({code, *oracle.above(code)}), code
    by_url = {each["url"]: each for each in value_sets}
    for value_set in value_sets:
        inside = expected(meaning(oracle, by_url, value_set))
        assert found(client, f"code:in={value_set['url']}") == inside
        assert found(client, f"code:not-in={value_set['url']}") == everything - inside


@st.composite
def hierarchical(draw: st.DrawFn, codes: list[str]) -> Json:
    """A value set that some filters on the hierarchy select, without what others select."""

    def parts(least: int) -> list[Json]:
        operations = ["is-a", "descendent-of", "is-not-a", "generalizes"]
        filters = st.tuples(st.sampled_from(operations), st.sampled_from(codes))
        chosen = draw(st.lists(filters, min_size=least, max_size=2))
        return [{"system": URL, "filter": [{"property": "concept", "op": op, "value": code}]} for op, code in chosen]

    compose = {"include": parts(1)} | ({"exclude": excluded} if (excluded := parts(0)) else {})
    return {"resourceType": "ValueSet", "status": "active", "compose": compose}


@pytest.mark.parametrize("kept", ["resource", "imported"])
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(world=worlds(), data=st.data())
def test_codes_in_use_are_joined_with_concepts(new_tenant: New, kept: str, world: Any, data: st.DataObject) -> None:
    system, oracle, value_sets = world
    if kept == "imported":
        # Only concepts and their hierarchy are stored here, so only those are asked for.
        value_sets = data.draw(st.lists(hierarchical(list(oracle.parents)), min_size=1, max_size=3))
        value_sets = [{**each, "url": f"urn:vs:{n}"} for n, each in enumerate(value_sets)]
    codes = [*oracle.parents, "x", "unknown"]
    by_code: dict[str, set[str]] = {}
    resources: list[Json] = [{"resourceType": "Patient", "id": "p"}, observation("no-code")]
    for number in range(data.draw(st.integers(4, 14))):
        chosen = data.draw(st.lists(st.sampled_from(codes), min_size=1, max_size=3, unique=True))
        elsewhere = data.draw(st.booleans())
        name = f"o{number}"
        # The same code in another system, or in none, is another code.
        resources.append(observation(name, *[(OTHER if elsewhere else URL, code) for code in chosen], (None, "c0")))
        for code in () if elsewhere else chosen:
            by_code.setdefault(code, set()).add(name)
    tenant = new_tenant()
    client = tenant.client()
    if kept == "imported":
        import_system(tenant.id, URL, {code: sorted(above) for code, above in oracle.parents.items()})
    else:
        resources.append({**system, "id": "system"})
    put_all(client, resources + [{**each, "id": f"vs{n}"} for n, each in enumerate(value_sets)])
    asks(client, oracle, value_sets, by_code)


TREE = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "E5": ["d"], "z": []}
VALUE_SET = {
    "resourceType": "ValueSet", "id": "b-branch", "url": "urn:vs:b", "status": "active",
    "compose": {"include": [
        {"system": URL, "filter": [{"property": "concept", "op": "is-a", "value": "b"}]},
        {"system": "urn:elsewhere", "concept": [{"code": "q"}]},
    ]},
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(tenant: TestTenant, client: Client) -> Client:
    import_system(tenant.id, URL, TREE)
    resources: list[Json] = [{"resourceType": "Patient", "id": "p"}, VALUE_SET]
    for code in (*TREE, "unknown"):
        resources.append(observation(f"o-{code}", (URL, code)))
        resources.append({
            "resourceType": "Condition", "id": f"c-{code}", "subject": {"reference": "Patient/p"},
            "code": {"coding": [{"system": URL, "code": code}]},
        })  # fmt: skip
    resources.append(observation("o-q", ("urn:elsewhere", "q")))
    resources.append(observation("parts", ("urn:elsewhere", "none"), component=[
        {"code": {"coding": [{"system": URL, "code": "d"}]}, "valueQuantity": {"value": 3}}]))  # fmt: skip
    put_all(client, resources)
    return client


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (f"code:below={URL}|b", {"o-b", "o-d", "o-E5"}), (f"code:above={URL}|d", {"o-a", "o-b", "o-c", "o-d"}),
        (f"code:below={URL}|z,{URL}|c", {"o-z", "o-c", "o-d", "o-E5"}), (f"code:below={URL}|unknown", {"o-unknown"}),
        (f"code:below={URL}|nowhere", set()), ("code:below=urn:not-here|q", set()),
        ("code:below=urn:elsewhere|q", {"o-q"}), ("code:in=urn:vs:b", {"o-b", "o-d", "o-E5", "o-q"}),
        ("code:in=ValueSet/b-branch", {"o-b", "o-d", "o-E5", "o-q"}),
        (f"code:below={URL}|b&code:not-in=urn:vs:b", set()),
        (f"code:not-in=urn:vs:b&code:below={URL}|a", {"o-a", "o-c"}),
        (f"combo-code:below={URL}|d", {"o-d", "o-E5", "parts"}), ("combo-code:in=urn:vs:b&component-code:missing=false", {"parts"}),
        (f"component-code:below={URL}|b", {"parts"}), (f"_filter=code ss {URL}|d", {"o-d", "o-E5"}),
        (f"_filter=code sb {URL}|b", {"o-a", "o-b"}), ("_filter=code in urn:vs:b and status eq final", {"o-b", "o-d", "o-E5", "o-q"}),
        (f"_filter=code ni urn:vs:b and code ss {URL}|a", {"o-a", "o-c"}),
    ],
)  # fmt: skip
def test_where_it_can_be_asked(filled: Client, query: str, names: set[str]) -> None:
    assert found(filled, query) == names


def test_the_reference_may_be_absolute(filled: Client) -> None:
    assert "o-d" in found(filled, f"code:in={filled.base}/ValueSet/b-branch")
    assert "o-d" in found(filled, "status:in=ValueSet/observation-status"), "R4's own, by its id"


def test_through_chains(filled: Client) -> None:
    assert found(filled, f"_has:Condition:patient:code:below={URL}|d", "Patient") == {"p"}
    assert found(filled, f"_has:Condition:patient:code:below={URL}|nowhere", "Patient") == set()
    assert found(filled, f"patient._has:Condition:patient:code:in=urn:vs:b&code={URL}|z") == {"o-z"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("code:in=urn:vs:none", "value set"), ("code:in=ValueSet/none", "value set"), ("code:below=b", "system|code"),
        (f"code:below={URL}|", "system|code"), (f"code:below={URL}|b|c", "system|code"), ("code:not-in=", "no value"),
        ("code:in=http://hl7.org/fhir/ValueSet/body-site", "snomed"),
    ],
)  # fmt: skip
def test_what_is_refused(filled: Client, query: str, said: str) -> None:
    answer = filled.get(f"Observation?{query}")
    assert answer.status == 400
    assert said in answer.text


def test_too_many_at_once(filled: Client) -> None:
    assert filled.get("Observation?code:below=" + ",".join(f"{URL}|b{n}" for n in range(61))).status == 422


def test_a_code_without_its_case(new_tenant: New) -> None:
    tenant = new_tenant()
    import_system(tenant.id, URL, TREE, case_sensitive=False)
    client = tenant.client()
    put_all(client, [{"resourceType": "Patient", "id": "p"}, observation("lower", (URL, "e5")), observation("d", (URL, "D"))])
    assert found(client, f"code:below={URL}|B") == {"lower", "d"}
    assert found(client, f"code:above={URL}|e5") == {"lower", "d"}


def test_plain_codes_have_the_system_of_the_value_set(filled: Client) -> None:
    assert "o-b" in found(filled, "status:in=http://hl7.org/fhir/ValueSet/observation-status")
    assert found(filled, "status:not-in=http://hl7.org/fhir/ValueSet/observation-status") == set()
    assert found(filled, "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "Patient") == set()


def test_other_tenants_do_not_matter(filled: Client, new_tenant: New) -> None:
    """Neither another tenant's concepts and value sets, nor the codes that it uses."""
    stranger = new_tenant()
    client = stranger.client()
    put_all(client, [{"resourceType": "Patient", "id": "p"}, observation("o-b", (URL, "b")), observation("o-d", (URL, "d"))])
    assert found(client, f"code:below={URL}|b") == {"o-b"}
    assert client.get("Observation?code:in=urn:vs:b").status == 400
    import_system(stranger.id, URL, {"d": [], "b": ["d"]})
    assert found(client, f"code:below={URL}|d") == {"o-b", "o-d"}
    assert found(filled, f"code:below={URL}|d") == {"o-d", "o-E5"}


def test_the_sites_systems_are_everybodys(new_tenant: New) -> None:
    url = "urn:of-the-site"
    import_system(0, url, TREE)
    for _ in range(2):
        client = new_tenant().client()
        put_all(client, [{"resourceType": "Patient", "id": "p"}, observation("d", (url, "d")), observation("z", (url, "z"))])
        assert found(client, f"code:below={url}|a") == {"d"}


def test_the_ways_agree(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many concepts and ranges there are, the answer is the same."""
    queries = [f"code:below={URL}|{code}" for code in TREE] + ["code:in=urn:vs:b", "code:not-in=urn:vs:b"]
    expected = [found(filled, query) for query in queries]
    monkeypatch.setattr(concepts, "_FEW", 0)
    for _ in range(2):
        assert [found(filled, query) for query in queries] == expected


def test_what_is_kept_of_codes_in_use_is_never_old(new_tenant: New, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes that came in since, by whoever writes, are found by the next search; so are those of a new version."""
    monkeypatch.setattr(concepts, "_FEW", 0)
    tenant = new_tenant()
    client = tenant.client()
    import_system(tenant.id, URL, TREE)
    put_all(client, [{"resourceType": "Patient", "id": "p"}, observation("b", (URL, "b"))])
    query = f"code:below={URL}|a"
    assert found(client, query) == {"b"}
    put_all(client, [observation("d", (URL, "d")), observation("no", (URL, "unknown"))])
    assert found(client, query) == {"b", "d"} == found(client, query)
    assert client.delete("Observation/d").status < 300
    assert found(client, query) == {"b"}
    import_system(tenant.id, URL, {"a": [], "unknown": ["a"], "b": []}, version="2")
    assert found(client, query) == {"no"}


def test_what_is_kept_is_bounded(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concepts, "_FEW", 0)
    monkeypatch.setattr(used_concepts, "_MOST", 3000)
    for kind in ("code", "combo-code", "category", "code"):
        found(filled, f"{kind}:below={URL}|a")
    assert sum(1000 + len(each.codes) for each in used_concepts._kept.values()) <= 3000
