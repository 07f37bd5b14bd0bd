"""What one question may cost, whoever made the definitions: time that grows with their size, or a refusal."""

from time import thread_time
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import TooCostly
from fhir_server.terminology import closure_table
from fhir_server.terminology.closure_table import Work, entries
from fhir_server.terminology.code_system import CodeSystemTable
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.resources import Held, Resources
from fhir_server.terminology.translate import Translation, translate

Json = dict[str, Any]
# Of what takes a fraction of this; what was found here took minutes.
SECONDS = 10.0


def _system(*concepts: Json) -> CodeSystemTable:
    return CodeSystemTable({"url": "urn:x", "property": [{"code": "parent", "type": "code"}], "concept": list(concepts)})


def test_a_hundred_thousand_children_of_one_code() -> None:
    began = thread_time()
    table = _system({"code": "top", "concept": [{"code": str(n)} for n in range(100_000)]})
    assert len(table.below("top")) == len(table.children("top")) == 100_000
    assert thread_time() - began < SECONDS


def test_thirty_thousand_parents_of_one_code() -> None:
    began = thread_time()
    below_all = [{"code": "parent", "valueCode": str(n)} for n in range(30_000)]
    table = _system(*({"code": str(n)} for n in range(30_000)), {"code": "x", "property": [*below_all, *below_all]})
    assert len(table.above("x")) == 30_000
    assert table.find("x") is not None
    assert thread_time() - began < SECONDS


def _maps(count: int, groups: int) -> list[Json]:
    """Each group of a map leads on to the next map, and the last one to the first."""
    def group(number: int) -> Json:
        on = {"mode": "other-map", "url": f"urn:map:{(number + 1) % count}"}
        return {"source": "s", "target": "t", "unmapped": on, "element": [
            {"code": "here", "target": [{"code": str(number), "equivalence": "equal"}]}] if number == count - 1 else []}  # fmt: skip

    return [
        {"resourceType": "ConceptMap", "url": f"urn:map:{number}", "group": [group(number)] * groups}
        for number in range(count)
    ]  # fmt: skip


def test_maps_that_lead_to_one_another() -> None:
    """Known bad: following every group of every map is 100 ** 5 ways."""
    maps = _maps(5, 100)
    here = Definitions(base_registry(), Resources(given=[Held(each, None) for each in maps]))
    began = thread_time()
    for code, expected in (("here", [("equal", "4")]), ("nowhere", [])):
        found = translate(here, [maps[0]], Translation([{"system": "s", "code": code}]))
        assert [(match.equivalence, (match.concept or {})["code"]) for match in found] == expected
    assert thread_time() - began < SECONDS


def test_many_codings_in_a_large_map() -> None:
    elements = [{"code": str(n), "target": [{"code": f"t{n}", "equivalence": "equal"}]} for n in range(50_000)]
    concept_map = {"resourceType": "ConceptMap", "group": [{"source": "s", "target": "t", "element": elements}]}
    began = thread_time()
    codings = [{"system": "s", "code": str(n)} for n in range(2_000)]
    assert len(translate(Definitions(base_registry()), [concept_map], Translation(codings))) == 2_000
    back = [{"system": "t", "code": f"t{n}"} for n in range(2_000)]
    assert len(translate(Definitions(base_registry()), [concept_map], Translation(back, reverse=True))) == 2_000
    assert thread_time() - began < SECONDS


def test_a_closure_in_a_circle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = _system(*({"code": str(n), "property": [{"code": "parent", "valueCode": str((n + 1) % 3000)}]} for n in range(3000)))
    began = thread_time()
    with pytest.raises(TooCostly, match="fewer at a time"):
        entries(ring, {str(n): 1 for n in range(1000)}, 0, Work())
    assert thread_time() - began < SECONDS
    assert len(entries(ring, {"1": 1, "2": 1, "3": 1}, 0, Work())) == 6
    monkeypatch.setattr(closure_table, "_SECONDS", 0.0)
    with pytest.raises(TooCostly):
        entries(ring, {"1": 1, "2": 1}, 0, Work())
