"""What is the same for every item of a loop is evaluated once, and answers what it would answer each time."""

from collections.abc import Iterable
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import Env, FhirPathError, Node, Nodes, Services, nodes, paths_of
from fhir_server.fhirpath import compile as compiler
from fhir_server.fhirpath.compile import Compiler
from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree, walk
from tests.fhirpath.hl7_suite import cases, resource
from tests.shared_data import examples, needs_shared

QUESTIONNAIRE: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "status": "draft",
    "item": [
        {"linkId": str(i), "type": "group", "text": "t" * i, "item": [{"linkId": f"{i}.{j}"} for j in range(i)]}
        for i in range(4)
    ],
}
TOO_MUCH = "too much work"
Answer = tuple[Nodes | str | None, list[tuple[str, Nodes]]]


class EachTime(Compiler):
    """Evaluates everything for every item."""

    def once(self, tree: Tree, this: Types) -> Compiled:
        return self._placed(tree, this)


def compiled(expression: str, type_: str, how: type[Compiler] = Compiler) -> Compiled:
    return how(paths_of(base_registry()), FUNCTIONS).whole(parse(expression), frozenset({type_}))


def answer(expression: str, holder: dict[str, Any], how: type[Compiler] = Compiler) -> Answer:
    """The items; None or `TOO_MUCH` when it is refused; and what was traced until then."""
    node: Node = (holder["resourceType"], holder, None)
    traced: list[tuple[str, Nodes]] = []
    env = Env(node, variables={"given": [node]}, trace=lambda name, found: traced.append((name, found)))
    try:
        return compiled(expression, node[0], how).run([node], env), traced
    except FhirPathError as error:
        return TOO_MUCH if TOO_MUCH in str(error) else None, traced


def differing(questions: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    return [text for text, holder in questions if answer(text, holder) != answer(text, holder, EachTime)]


@needs_shared
def test_hl7s_suite_is_answered_the_same() -> None:
    """Each expression as it stands, and as the criterion of a loop."""
    held = [(case.expression, resource(case.input)) for case in cases()]
    assert len(held) > 900 and differing(held) == []
    looped = [(f"children().select(({text}) | %resource.select({text}).take(3))", holder) for text, holder in held]
    assert differing(looped) == []


@needs_shared
def test_r4s_constraints_about_the_resource_are_answered_the_same() -> None:
    """On the published examples, wherever the element stands that a constraint is about."""
    about = {(s.name, c.expression) for s in base_registry().structures.values() for c in s.constraints if "%" in c.expression}
    assert len(about) > 100
    seen = set()
    for holder in [decode(text) for _, text in examples()]:
        root: Node = (holder["resourceType"], holder, None)
        for type_, expression in about:
            if type_.partition(".")[0] != root[0]:
                continue
            for focus in compiled(type_, root[0]).run([root], Env(root)):
                found = [compiled(expression, type_, how).run([focus], Env(root)) for how in (Compiler, EachTime)]
                assert found[0] == found[1], (type_, expression, holder.get("id"))
                seen.add(type_)
    assert len(seen) > 100 and "StructureDefinition.differential" in seen


TERMS = st.sampled_from(
    ["%resource", "%context", "%given", "%ucum", "'1'", "2", "true", "{}", "linkId", "item", "item.linkId", "$this", "$index",
     "text", "%resource.item", "%resource.item.linkId", "%resource.item.first().text", "%rootResource.status"]
)  # fmt: skip
LOOPS = ["where", "select", "all", "exists", "repeat", "repeatAll", "sort", "iif", "aggregate", "trace", "defineVariable"]


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["=", "!=", "in", "contains", "|", "&", "+", "<", "and", "or", "implies"])
    named = st.sampled_from(["count", "first", "empty", "not", "descendants", "distinct", "toString", "length", "single"])
    return st.one_of(
        st.builds(lambda source, name, tree: f"({source}).{name}({tree})", inner, st.sampled_from(LOOPS), inner),
        st.builds(lambda source, tree, other: f"({source}).iif({tree}, {other}, $this)", inner, inner, inner),
        st.builds(lambda source, tree: f"({source}).defineVariable('v', {tree}).select(%v)", inner, inner),
        st.builds(lambda left, operator, right: f"({left} {operator} {right})", inner, operators, inner),
        st.builds(lambda source, name: f"({source}).{name}()", inner, named),
        st.builds(lambda source, tree: f"({source}).startsWith({tree})", inner, inner),
    )


LOOPED = st.builds(
    lambda source, name, tree: f"{source}.{name}({tree})",
    st.sampled_from(["item", "descendants()", "item.item", "nothing"]),
    st.sampled_from(["where", "select", "all", "exists", "repeat"]),
    st.recursive(TERMS, grown, max_leaves=8),
)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(LOOPED)
def test_loops_are_answered_the_same(expression: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "MOST_WORK", 40_000)
        once, each_time = [answer(expression, QUESTIONNAIRE, how) for how in (Compiler, EachTime)]
    # How much work it is may differ.
    assert once == each_time or TOO_MUCH in (once[0], each_time[0])


def test_the_comparison_sees_what_is_not_the_same_for_every_item(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "item.where(linkId = %resource.item[1].linkId)"
    assert differing([(text, QUESTIONNAIRE)]) == []
    monkeypatch.setattr(compiler, "fixed", lambda tree: frozenset(map(id, walk(tree))))
    assert differing([(text, QUESTIONNAIRE)]) == [text]


KEPT = [
    ("item.where(linkId = %resource.item.linkId.first())", ["%resource.item.linkId.first()"]),
    ("item.where(linkId = %resource.item.where(linkId = '1').linkId)", ["%resource.item.where(linkId = '1').linkId"]),
    ("item.where(%resource.item.where(text = %context.status).exists())",
     ["%resource.item.where(text = %context.status).exists()", "%context.status"]),
    ("item.all('a'.length() = 1)", ["'a'.length() = 1"]),
    ("item.where(linkId = 'a' | 'b')", []),
    ("item.where(%resource.item.trace('x').exists())", ["%resource.item"]),
    ("item.where(%resource.item.select($index).exists())", ["%resource.item"]),
    ("item.where(%resource.item.linkId.startsWith(linkId))", ["%resource.item.linkId"]),
    ("item.defineVariable('a').where(%a.linkId = %given.status)", []),
    ("item.where(linkId = %given.status)", ["%given.status"]),
    ("%resource.item.linkId.first() = item.linkId", []),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "kept"), KEPT)
def test_what_is_kept(expression: str, kept: list[str]) -> None:
    """Outer ones before what a loop in them keeps."""
    found: list[Tree] = []

    class Noting(Compiler):
        def once(self, tree: Tree, this: Types) -> Compiled:
            made = super().once(tree, this)
            if made.constant is None:
                found.insert(0, tree)
            return made

    compiled(expression, "Questionnaire", Noting)
    assert found == [parse(text) for text in kept]


class Asked:
    """Services that count the questions, and answer that nothing is known."""

    def __init__(self) -> None:
        self.questions = 0

    def member_of(self, value_set: str, node: Node) -> bool | None:
        self.questions += 1
        return None if value_set == "unknown" else True

    conforms_to = subsumes = resolve = member_of


def asked(expression: str, services: Services, again: int = 1) -> None:
    node: Node = ("Questionnaire", QUESTIONNAIRE, None)
    run, env = compiled(expression, "Questionnaire").run, Env(node, services=services)
    for _ in range(again):
        env.context = [node]
        run([node], env)


ASKED = [
    ("item.all(%resource.status.memberOf('x'))", 1),
    ("item.select(item.all(%resource.status.memberOf('x')))", 1),
    ("item.where(false).all(%resource.status.memberOf('x'))", 0),
    ("item.all(linkId.exists() or %resource.status.memberOf('unknown'))", 0),
    ("item.all(linkId = '0' or %resource.status.memberOf('x'))", 1),
    ("item.all(linkId.memberOf('x'))", 4),
]


@pytest.mark.parametrize(("expression", "questions"), ASKED)
def test_it_is_asked_once_and_only_where_it_is_reached(expression: str, questions: int) -> None:
    services = Asked()
    asked(expression, services)  # type: ignore[arg-type]
    assert services.questions == questions


def test_the_next_evaluation_asks_again() -> None:
    services = Asked()
    asked(ASKED[0][0], services, again=3)  # type: ignore[arg-type]
    assert services.questions == 3


def test_mistakes_come_where_they_would_have_come() -> None:
    with pytest.raises(FhirPathError, match="not known here"):
        asked("item.all(linkId.empty() or %resource.status.memberOf('unknown'))", Asked())  # type: ignore[arg-type]


def definition(entries: int) -> Node:
    elements = [{"id": "Patient", "path": "Patient"}]
    elements += [{"id": f"Patient.name:s{i}", "path": "Patient.name"} for i in range(entries)]
    root = {"resourceType": "StructureDefinition", "kind": "resource", "type": "Patient"}
    return "StructureDefinition", {**root, "differential": {"element": elements}}, None


def held(how: type[Compiler], entries: int) -> bool | None:
    """Whether R4's sdf-8a, which looks at all entries for each of them, holds on so many."""
    type_ = "StructureDefinition.differential"
    constraint = next(c for c in base_registry().structures[type_].constraints if c.key == "sdf-8a")
    root = definition(entries)
    return compiled(constraint.expression, type_, how).condition()([(type_, root[1]["differential"], None)], Env(root))


def test_a_rule_about_all_for_each_takes_work_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tenth of the work that there is for one expression."""
    monkeypatch.setattr(nodes, "MOST_WORK", nodes.MOST_WORK // 10)
    monkeypatch.setattr(nodes, "MOST_SECONDS", inf)
    assert held(Compiler, 20_000) is True
    with pytest.raises(FhirPathError, match="too much work"):
        held(EachTime, 2_000)
