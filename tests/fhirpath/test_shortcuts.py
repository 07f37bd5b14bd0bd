"""What is taken together to be fast answers what the long way, part by part, answers."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import Env, FhirPathError, Node, Nodes, paths_of, presence
from fhir_server.fhirpath.compile import Compiler
from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree
from tests.bench.by_hand import OBSERVATION, PRESSURE, ROWS
from tests.bench.fhirpath import REASONS
from tests.fhirpath.hl7_suite import cases, resource
from tests.shared_data import examples, needs_shared

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
Question = tuple[str, Node]
WITHOUT = {name: each for name, each in OBSERVATION.items() if name != "valueQuantity"}


class Long(Compiler):
    """Forgets of every part what would allow a shorter way around it."""

    def compile(self, tree: Tree, this: Types) -> Compiled:
        made = super().compile(tree, this)
        return Compiled(made.run, made.types, element=made.element, ordered=made.ordered, far=made.far)


def answer(question: Question, compiler: type[Compiler]) -> Nodes | None:
    """None when it is refused."""
    expression, focus = question
    try:
        made = compiler(paths_of(base_registry()), FUNCTIONS).whole(parse(expression), frozenset({focus[0]}))
        return made.run([focus], Env(focus, now=NOW))
    except FhirPathError:
        return None


def differing(questions: Iterable[Question]) -> list[str]:
    return [question[0] for question in questions if answer(question, Compiler) != answer(question, Long)]


def lessened(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object, and what it is without one of its properties, with an empty list, and with one that has no value but
    an extension."""
    yield value
    for key in value:
        rest = {name: each for name, each in value.items() if name != key}
        yield from (rest, {**rest, f"_{key}": {"extension": [{"url": "u", "valueCode": "x"}]}})
        if isinstance(value[key], list):
            yield {**rest, key: []}
        for inner in lessened(value[key]) if isinstance(value[key], dict) else ():
            yield {**value, key: inner}


def bench_questions() -> Iterator[Question]:
    for row in ROWS:
        type_ = row.type or row.focus["resourceType"]
        yield from ((row.expression, (type_, focus, None)) for focus in lessened(row.focus))


def test_every_shape_on_whatever_may_be_missing() -> None:
    questions = list(bench_questions())
    assert len(questions) > 500 and differing(questions) == []


@needs_shared
def test_the_whole_of_hl7s_suite() -> None:
    held = [(case.expression, resource(case.input)) for case in cases()]
    assert differing((text, (holder["resourceType"], holder, None)) for text, holder in held) == []


@needs_shared
def test_every_constraint_on_the_examples() -> None:
    structures = base_registry().structures
    held = [decode(text) for _, text in examples()]
    questions = [
        (constraint.expression, (each["resourceType"], each, None))
        for each in held
        for constraint in structures[each["resourceType"]].constraints
    ]
    assert len(questions) > 1_000 and differing(questions) == []


def written(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object as R4's JSON may have it: without one of its properties at any depth, or with an extension instead of a
    primitive."""
    yield value
    for key, held in value.items():
        rest = {name: each for name, each in value.items() if name != key}
        yield rest
        items = held if isinstance(held, list) else [held]
        if isinstance(items[0], dict):
            for i, item in enumerate(items):
                for inner in written(item):
                    yield {**value, key: [*items[:i], inner, *items[i + 1 :]] if held is items else inner}
        elif key != "resourceType":
            extension = {"extension": [{"url": "u", "valueCode": "x"}]}
            yield {**rest, f"_{key}": [extension] if held is items else extension}
            yield {**value, f"_{key}": [None, extension] if held is items else extension}


OTHERWISE: dict[str, list[dict[str, Any]]] = {
    "Observation.subject.where(resolve() is Patient)": [
        {**OBSERVATION, "contained": [{"resourceType": "Patient", "id": "p"}], "subject": subject}
        for subject in (
            {"reference": "#p"}, {"reference": "#q"}, {"reference": "http://x/fhir/Patient/1/_history/2"}, {"type": "Patient"},
            {"reference": "Group/1"}, {"reference": "urn:uuid:0d2177ba-f67b-4f29-addb-91040de55388", "type": "Patient"},
        )
    ],
    "start.hasValue().not() or end.hasValue().not() or (start <= end)": [
        {"start": start, "end": end}
        for start in ("2026", "2026-03", "2026-03-28", "2026-03-28T10:00:00Z", "2026-03-28T11:00:00+01:00")
        for end in ("2026", "2026-03-27", "2026-03-29", "2026-03-28T10:00:00Z", "2026-03-28T09:00:00+01:00")
    ],
    "Observation.value.ofType(Quantity) > 50 'kg'": [
        {**OBSERVATION, "valueQuantity": {"value": 72_000, "code": code}} for code in ("g", "mg", "mm", "unknown")
    ],
    "Observation.value is Quantity": [{**WITHOUT, "valueString": "x"}, {**WITHOUT, "_valueString": {"id": "x"}}],
    "dataAbsentReason.empty() or value.empty()": [{**OBSERVATION, "dataAbsentReason": {"text": "x"}}],
    "type!='display' or code.empty()": [{"type": "display", "code": [{"code": "x"}]}, {"code": [{"code": "x"}]}],
    "Observation.code | Observation.component.code": [{**PRESSURE, "code": PRESSURE["component"][0]["code"]}],
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.expression)
def test_by_hand_is_the_same(row: Any) -> None:
    """Whatever may be missing or different: a closure that leaves out a case would be no measure."""
    type_ = row.type or row.focus["resourceType"]
    held = [*written(row.focus), *OTHERWISE.get(row.expression, ())]
    found = [answer((row.expression, (type_, each, None)), Compiler) for each in held]
    assert found == [row.by_hand(each) for each in held]


def test_the_reasons_of_slow_ones_are_about_expressions_that_are_measured() -> None:
    assert set(REASONS) <= {row.expression for row in ROWS}


def test_the_comparison_sees_a_wrong_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "_leads", lambda step, wanted: lambda node, env: wanted)
    assert differing(bench_questions()) != []
