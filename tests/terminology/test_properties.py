"""What must hold of any code system and any value set: selections are set algebra, pages partition, subsumption orders,
and what a closure table is told bit by bit is its closure."""

from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.terminology.closure_table import Work, entries
from fhir_server.terminology.code_system import CodeSystemTable
from fhir_server.terminology.compose import contains, selection
from fhir_server.terminology.expand import expand
from fhir_server.terminology.expansion import Expansion
from fhir_server.terminology.subsumes import subsumes
from tests.terminology import test_compose
from tests.terminology.random_systems import CODES, URL, Oracle, meaning, passes, systems, worlds

World = tuple[dict[str, Any], Oracle, list[dict[str, Any]]]


@given(worlds())
@settings(max_examples=60)
def test_a_selection_is_what_the_definition_says_in_plain_sets(world: World) -> None:
    system, oracle, value_sets = world
    by_url = {value_set["url"]: value_set for value_set in value_sets}
    for value_set in value_sets:
        expected = meaning(oracle, by_url, value_set)
        here = test_compose.given(system, *value_sets)
        found = selection(here, value_set)
        assert {concept.code for part in found.parts for concept in part.system.page(list(part.concepts))} == expected
        assert not found.listed
        fresh = test_compose.given(system, *value_sets)
        assert {code for code in [*CODES, "x"] if contains(fresh, value_set, URL, code)} == expected


def test_the_oracle_would_notice_a_wrong_selection() -> None:
    oracle = Oracle({"c0": set(), "c1": {"c0"}}, {"c0": "", "c1": "red"})
    rule = {"property": "concept", "op": "descendent-of", "value": "c0"}
    assert [code for code in oracle.parents if passes(oracle, rule, code)] == ["c1"]
    value_set = {"url": "x", "compose": {"include": [{"system": URL, "filter": [rule]}]}}
    assert meaning(oracle, {}, value_set) != {"c0", "c1"}


@given(worlds(), st.integers(1, 5), st.sampled_from(["", "word1", "text", "c1"]))
@settings(max_examples=30)
def test_pages_partition_the_expansion(world: World, size: int, text: str) -> None:
    system, _, value_sets = world
    here = test_compose.given(system, *value_sets)
    whole = expand(here, value_sets[0], Expansion(filter=text), "")["expansion"]
    codes = [item["code"] for item in whole.get("contains", ())]
    assert whole["total"] == len(codes) == len(set(codes))
    paged: list[str] = []
    identifiers = {whole["identifier"]}
    for offset in range(0, len(codes) + 1, size):
        wanted = Expansion(filter=text, offset=offset, count=size)
        page = expand(test_compose.given(system, *value_sets), value_sets[0], wanted, "")["expansion"]
        paged += [item["code"] for item in page.get("contains", ())]
        identifiers.add(page["identifier"])
        assert page["total"] == len(codes)
    assert paged == codes
    assert len(identifiers) == 1


@given(systems())
@settings(max_examples=40)
def test_subsumption_is_an_order_and_agrees_with_the_hierarchy(drawn: tuple[dict[str, Any], Oracle]) -> None:
    system, oracle = drawn
    here = test_compose.given(system)
    mirrored = {"subsumes": "subsumed-by", "subsumed-by": "subsumes"}
    for a, b in combinations(oracle.parents, 2):
        there, back = subsumes(here, URL, a, b), subsumes(here, URL, b, a)
        assert back == mirrored.get(there, there)
        assert (there == "subsumes") == (a in oracle.above(b))
        assert there != "equivalent"
    assert all(subsumes(here, URL, code, code) == "equivalent" for code in oracle.parents)


@given(systems(), st.data())
@settings(max_examples=50)
def test_deltas_of_a_closure_table_sum_to_the_closure(drawn: tuple[dict[str, Any], Oracle], data: st.DataObject) -> None:
    resource, oracle = drawn
    table = CodeSystemTable(resource)
    batches = data.draw(st.lists(st.lists(st.sampled_from(list(oracle.parents)), max_size=4), max_size=4))
    held: dict[str, int] = {}
    told: set[tuple[str, str]] = set()
    for version, batch in enumerate(batches, 1):
        held.update((code, version) for code in batch if code not in held)
        delta = entries(table, held, version - 1, Work())
        assert not delta & told, "an entry is told once"
        told |= delta
    expected = {(code, above) for code in held for above in oracle.above(code) & set(held)}
    assert told == expected == entries(table, held, 0, Work())
