"""Expressions are hostile until shown otherwise: whatever one asks for, it ends, and in about a second.

Also what evaluation leaves behind: nothing, however often and by however many threads it is done.
"""

import gc
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from time import thread_time
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
    expression,
    nodes,
    regexes,
)

ITEMS, SECONDS = 1_500, 0.2
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

HOSTILE = [
    "item.where(%resource.item.where(%resource.item.exists()).exists())",
    "item.where(%resource.item.linkId contains linkId)",
    "item.select(%resource.item.count()).count()",
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
    f"item.select({A}.matches(linkId & 'a*b')).count()",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_takes_long(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a fifth of the time that there is, so that the test does not take all of it."""
    monkeypatch.setattr(nodes, "MOST_SECONDS", SECONDS)
    variables: dict[str, Nodes] = {"huge": [("decimal", HUGE, None)], "other": [("Questionnaire", dict(QUESTIONNAIRE), None)]}
    begun = thread_time()
    with suppress(FhirPathError):
        evaluate(hostile, QUESTIONNAIRE, base_registry(), variables=variables)
    assert thread_time() - begun < SECONDS + 0.8


def test_the_time_there_is_is_a_second() -> None:
    begun = thread_time()
    with pytest.raises(FhirPathError, match="too much work"):
        evaluate(HOSTILE[1], QUESTIONNAIRE, base_registry())
    assert thread_time() - begun < 1.5
    assert nodes.MOST_SECONDS == 1.0


HONEST = [
    "item.item.where(linkId.startsWith('1')).count()",
    "descendants().where($this is string).count()",
    "item.linkId.distinct().count()",
    "item.where(code.where(system = 's').exists()).item.select(linkId & ' ' & text).count()",
    "item.linkId.intersect(item.code.code).count()",
]


@pytest.mark.parametrize("honest", HONEST)
def test_what_is_only_large_is_answered(honest: str) -> None:
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


PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Diop", "given": ["Awa"]}]}


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
    assert regexes._matcher.cache_info().maxsize == regexes._replacer.cache_info().maxsize == 256


def test_long_expressions_are_not_kept() -> None:
    size = expression._remembered.cache_info().currsize
    evaluate("name.family = '" + "x" * 3_000 + "'", PATIENT, base_registry())
    compile_expression("name.family = '" + "x" * 3_000 + "'", "Patient", base_registry())
    assert expression._remembered.cache_info().currsize == size
