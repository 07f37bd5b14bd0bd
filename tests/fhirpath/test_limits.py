"""Expressions are hostile until shown otherwise: whatever one asks for, it ends, and in about a second.

Counted are calls of functions, into C included, which are the same on every machine; not time, which is not.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from decimal import Decimal
from itertools import count
from math import inf
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.fhirpath import (
    Env,
    FhirPathError,
    Node,
    Nodes,
    compile_expression,
    compile_node_expression,
    evaluate,
    nodes,
)
from tests.conformance.counted import calls

PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Diop"}]}
ITEMS = 1_500
# A tenth of the work that there is, so that the tests do not take all of it; and how many calls a unit of it may be.
WORK, CALLS = nodes.MOST_WORK // 10, 10
QUESTIONNAIRE: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "status": "draft",
    "item": [
        {
            "linkId": str(i),
            "text": "t" * 50,
            "type": "group",
            "code": [{"system": "s", "code": str(i)}],
            "item": [{"linkId": f"{i}.{j}", "type": "string", "text": "x"} for j in range(5)],
        }
        for i in range(ITEMS)
    ],
}
HUGE = Decimal("1E+99999999")
A = "'" + "a" * 4000 + "'"

# Two concepts, each with more codes than could be compared with each other one.
CONCEPTS: dict[str, Nodes] = {
    name: [("CodeableConcept", {"coding": [{"system": name, "code": str(i)} for i in range(30_000)]}, None)]
    for name in ("many", "more")
}

HOSTILE = [
    "item.where(%resource.item.where(%resource.item.exists()).exists())",
    "item.where(%resource.item.linkId contains linkId)",
    "item.select(%resource.item.count()).count()",
    "item.select((linkId | %resource.item.linkId).count()).count()",
    "item.select(%resource.item.skip(linkId.length()).where(text.exists())).count()",
    "item.all(item.all($this.linkId in %resource.repeat(item).linkId))",
    "item.all(%resource.item.all(%resource.item.all(linkId = '0' or true)))",
    "repeat(item).select(%resource.repeat(item)).count()",
    "item.repeat($this.item | %resource.item).count()",
    "item.sort(linkId, -text, %resource.item.linkId.join())",
    "item.linkId.aggregate(iif($total.empty(), $this, $total & $total & $this))",
    "item.select(%resource.item.text.join(',').matches('(t+)+$')).count()",
    "item.select(%resource.item.isDistinct()).count()",
    "item.select((%resource | %resource).count())",
    "item.select(%resource = %other).count()",
    "item.code.select($this ~ %resource.item.code).count()",
    "item.select(%resource.item.trace('x').elementDefinition().count())",
    "item.defineVariable('a').select(%a.defineVariable('b').select(%b.count()))",
    "'aaaaaaaaaaaaaaaaaaaa'" + ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 10,
    f"{A}.toChars().select(%resource.item).toChars()",
    " and ".join(["repeat(item).linkId.count() > 0"] * 150),
    "|".join(["item.item.linkId"] * 1000),
    "-" * 3000 + "1",
    "(" * 3000 + "1" + ")" * 3000,
    "iif(true, " * 90 + "1" + ")" * 90,
    ".".join(["item"] * 400),
    "item" + ".where(true)" * 240,
    " or ".join(["item.empty()"] * 240),
    "9999999999.power(9999999999)",
    "2.power(1000000000000) + 1000000000.exp()",
    "9" * 60 + ".0 * " + "9" * 60 + ".0",
    "%huge.toString() & %huge.floor() & (%huge div 3) & %huge.toInteger() & (%huge + 1) & -%huge & %huge.abs()",
    "%huge.round(2) | %huge.lowBoundary() | %huge.sqrt() | %huge.truncate() | %huge.toQuantity() | (%huge > 1)",
    "@2020 + 99999999999999999999999 years",
    f"{A}.replaceMatches('a*a*a*b', '')",
    f"{A}.replaceMatches('{'a?' * 100}b', '')",
    f"{A}.replaceMatches('(a|aa)+b', '')",
    f"{A}.replaceMatches('(a?){{1,20}}b', '')",
    f"{A}.matches('((a{{100}}){{100}}){{100}}')",
    f"{A}.matches('(a*)*(a*)*(a*)*b')",
    f"{A}.replaceMatches('.*{{}}.*{{}}.*{{}}.*{{}}b', '')",
    f"{A}.replaceMatches('(a|aa){{00001,99999}}b', '')",
    f"{A}.replaceMatches(')??((a+b?){{2,5}}(a|b|ab){{2,24}}b{{2}}a', '')",
    f"{A}.replaceMatches('(|a){{2,5}}[ab]){{2,24}}([^b]?$', '')",
    f"{A}.matches('a)|(b')",
    f"{A}.replaceMatches('(a?){{10000,20000}}b', '')",
    f"('ab' & {A} & {A}).replace('a', '{'a' * 20}').matches('[ab]*a[ab]{{9000}}c')",
    f"{A}.matches('(?x)# [\n [ab]{{9000}}c # ]')",
    f"item.select({A}.matches('[ab]*a[ab]{{900}}c'))",
    "%many ~ %more",
    f"item.select({A}.matches(linkId & 'a*b')).count()",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_takes_long(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nothing but the work that is counted ends it."""
    monkeypatch.setattr(nodes, "MOST_WORK", WORK)
    monkeypatch.setattr(nodes, "MOST_SECONDS", inf)
    assert calls_of(hostile) < CALLS * WORK


def calls_of(hostile: str) -> int:
    other: Nodes = [("Questionnaire", dict(QUESTIONNAIRE), None)]
    variables: dict[str, Nodes] = {"huge": [("decimal", HUGE, None)], "other": other, **CONCEPTS}
    with calls() as made, suppress(FhirPathError):
        evaluate(hostile, QUESTIONNAIRE, base_registry(), variables=variables)
    return made()


def test_the_count_sees_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known bad: with four times the work, one of them makes more calls than it may."""
    little = WORK // 10
    monkeypatch.setattr(nodes, "MOST_WORK", 4 * little)
    monkeypatch.setattr(nodes, "MOST_SECONDS", inf)
    assert calls_of("item.repeat($this.item | %resource.item).count()") > CALLS * little


@pytest.mark.parametrize(("step", "ends"), [(0.0, False), (nodes.MOST_SECONDS / 4, True)])
def test_the_time_there_is_is_a_second(step: float, ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not much work, by a clock that moves on whenever it is looked at."""
    assert nodes.MOST_SECONDS == 1.0
    moments = count(0.0, step)
    monkeypatch.setattr(nodes, "thread_time", lambda: next(moments))
    with pytest.raises(FhirPathError, match="too much work") if ends else nullcontext():
        evaluate("item.where(%resource.item.skip(linkId.length()).exists()).count()", QUESTIONNAIRE, base_registry())


HONEST = [
    "item.item.where(linkId.startsWith('1')).count()",
    "descendants().where($this is string).count()",
    "item.linkId.distinct().count()",
    "item.where(code.where(system = 's').exists()).item.select(linkId & ' ' & text).count()",
    "item.linkId.intersect(item.code.code).count()",
]


@pytest.mark.parametrize("honest", HONEST)
def test_what_is_only_large_is_answered(honest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(nodes, "MOST_SECONDS", inf)
    assert evaluate(honest, QUESTIONNAIRE, base_registry())[0][1] > 0


def test_each_context_has_its_own_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    node: Node = ("Questionnaire", QUESTIONNAIRE, None)
    text = "descendants().descendants().descendants().count()"
    compiled, _ = compile_node_expression(text, "Questionnaire", base_registry())
    env = Env(node)
    monkeypatch.setattr(nodes, "MOST_WORK", 300_000)
    for _ in range(4):
        env.context = [node]
        compiled.run([node], env)

    def again() -> None:
        for _ in range(1000):
            compiled.run([node], env)

    with pytest.raises(FhirPathError, match="too much work"):
        again()


def test_threads_do_not_meet() -> None:
    expressions = [f"item.where(linkId = '{i}').select(text & %resource.status & $index.toString())" for i in range(8)]
    expressions += [f"item.select($index).where($this = {i})" for i in range(8)]
    alone = [evaluate(each, QUESTIONNAIRE, base_registry()) for each in expressions]

    def work(_: int) -> list[Any]:
        runs = [compile_expression(each, "Questionnaire", base_registry()) for each in expressions]
        return [run(QUESTIONNAIRE) for run in runs]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, range(4)):
            assert found == alone


UNCLEAR = ["a{", "a{}", "a{12345}", "[a", "a)", "(a", "a)|(b", "(?x)a", "(?x: a)"]


@pytest.mark.parametrize("regex", UNCLEAR)
@pytest.mark.parametrize("call", ["matches('{}')", "matchesFull('{}')", "replaceMatches('{}', 'x')"])
def test_a_regular_expression_that_could_be_read_in_two_ways_is_refused(regex: str, call: str) -> None:
    with pytest.raises(FhirPathError, match="regular expression|must begin|takes no references"):
        evaluate("name.family.first()." + call.format(regex), PATIENT, base_registry())


@pytest.mark.parametrize("inside", ["[[a]", "[a--b]", "[a&&b]"])
def test_sets_that_only_one_engine_has_are_not_replaced(inside: str) -> None:
    with pytest.raises(FhirPathError, match="Within brackets"):
        evaluate(f"'a'.replaceMatches('{inside}', 'x')", PATIENT, base_registry())
