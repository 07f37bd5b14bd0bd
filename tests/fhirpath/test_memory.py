"""What evaluation leaves behind: nothing, however often it is done and whatever texts clients make up."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import (
    Env,
    FhirPathError,
    Node,
    compile_expression,
    compile_node_expression,
    evaluate,
    expression,
    regexes,
)
from fhir_server.fhirpath.compiled import Test

INVARIANTS, FEW_BYTES = 100_000, 4_000


def _kept_after(repeat: int, act: Any) -> int:
    """Bytes kept after doing something so often, beyond what was kept after a tenth of it."""
    for i in range(repeat // 10):
        act(i)
    gc.collect()
    tracemalloc.start()
    for i in range(repeat):
        act(i)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Diop", "given": ["Awa"]}],
    "start": "2026-01-01",
    "end": "2026-02-01",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    "url": "http://example.org/Patient",
    "contact": [{"telecom": [{"value": "1"}]}],
}


def _invariants() -> list[tuple[str, Test]]:
    """Every invariant of R4, with the type that it is about."""
    registry, found = base_registry(), []
    for structure in registry.structures.values():
        for constraint in structure.constraints if structure.kind != "primitive-type" else ():
            try:
                compiled, _ = compile_node_expression(constraint.expression, structure.name, registry)
            except FhirPathError:
                continue
            found.append((structure.name, compiled.condition()))
    return found


def _evaluated(invariants: list[tuple[str, Test]]) -> Callable[[int], None]:
    def act(i: int) -> None:
        type_, test = invariants[i % len(invariants)]
        node: Node = (type_, PATIENT, None)
        try:
            test([node], Env(node))
        except FhirPathError:
            return

    return act


def test_100_000_invariants_keep_nothing() -> None:
    invariants = _invariants()
    assert len(invariants) > 1_000
    assert _kept_after(INVARIANTS, _evaluated(invariants)) < FEW_BYTES


def test_the_check_sees_an_invariant_that_keeps_its_focus() -> None:
    """One of more than a thousand that remembers what it was asked about."""
    kept: list[Any] = []

    def leaking(this: Any, env: Env) -> bool:
        kept.append(this)
        return True

    assert _kept_after(INVARIANTS, _evaluated([*_invariants(), ("Patient", leaking)])) > FEW_BYTES


def test_evaluating_keeps_nothing() -> None:
    text = "name.where(family = 'Diop').given.select($this & %resource.id).first()"
    run = compile_expression(text, "Patient", base_registry())
    assert _kept_after(20_000, lambda i: run(PATIENT)) < 50_000


def test_compiling_keeps_a_bounded_number() -> None:
    """Names and texts that clients make up do not pile up in the caches."""
    most = expression._remembered.cache_info().maxsize or 0
    assert most <= 5_000 and expression._MOST_CACHED <= 20_000

    def act(i: int) -> None:
        for text in (f"Patient.name.where(family = '{i}')", f"children().unknown{i}", f"name.unknown{i}"):
            try:
                evaluate(text, PATIENT, base_registry())
            except FhirPathError:
                continue

    act(0)
    levels = len(expression.paths_of(base_registry())._levels)
    for i in range(1, 3_000):
        act(i)
    assert expression._remembered.cache_info().currsize <= most
    assert len(expression.paths_of(base_registry())._levels) == levels
    assert regexes.matcher.cache_info().maxsize == regexes._replacer.cache_info().maxsize == 64


def test_long_expressions_are_not_kept() -> None:
    size = expression._remembered.cache_info().currsize
    evaluate("name.family = '" + "x" * 3_000 + "'", PATIENT, base_registry())
    compile_expression("name.family = '" + "x" * 3_000 + "'", "Patient", base_registry())
    assert expression._remembered.cache_info().currsize == size
