"""Rules that a Questionnaire sets on responses, as FHIRPath: the extensions `questionnaire-constraint` and
`targetConstraint`.

https://hl7.org/fhir/R4/extension-questionnaire-constraint.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Issue
from fhir_server.fhirpath import Env, FhirPathError, Node, compile_node_expression
from fhir_server.validation.questionnaires.answer_values import value_name

Json = Mapping[str, Any]

_CONSTRAINTS = (
    "http://hl7.org/fhir/StructureDefinition/questionnaire-constraint",
    "http://hl7.org/fhir/StructureDefinition/targetConstraint",
)
_ROOT, _ITEM = "QuestionnaireResponse", "QuestionnaireResponse.item"
_MOST = 500


def broken(registry: Registry, questionnaire: Json, response: dict[str, Any]) -> Iterator[Issue]:
    """The rules that a complete response breaks, each where it stands: the Questionnaire's own on the response, those
    of an item on each item that answers it. One that cannot be evaluated is told of; so are more than 500."""
    root: Node = (_ROOT, response, None)
    env = Env(root, variables={"questionnaire": [("Questionnaire", questionnaire, None)]})
    left = _MOST
    for rules, node, path in _places(questionnaire, response):
        for rule in rules:
            left -= 1
            if left < 0:
                text = f"Only the first {_MOST} rules of the questionnaire were evaluated."
                yield Issue("warning", "too-costly", text, _ROOT, rule="questionnaire-constraint")
                return
            yield from _evaluated(registry, rule, node, path, env)


def _places(questionnaire: Json, response: Json) -> Iterator[tuple[list[Json], Node, str]]:
    """(rules, what they are about, its path)."""
    yield _rules(questionnaire), (_ROOT, response, None), _ROOT
    for definition, item, path in placed(questionnaire, response):
        rules = _rules(definition)
        if rules:
            yield rules, (_ITEM, item, None), path


def placed(questionnaire: Json, response: Json) -> Iterator[tuple[Json, Json, str]]:
    """(definition, item of the response, its path) of every item that the questionnaire knows."""
    known = {item["linkId"]: item for item in _items(questionnaire)}
    for item, path in _answered(response, _ROOT):
        if item.get("linkId") in known:
            yield known[item["linkId"]], item, path


def _rules(element: Json) -> list[Json]:
    """The texts of each rule by the names of its parts."""
    held = [each for each in element.get("extension", ()) if each.get("url") in _CONSTRAINTS]
    return [{p["url"]: _text(p[name]) for p in each.get("extension", ()) if (name := value_name(p))} for each in held]


def _text(value: Any) -> str:
    return str(value.get("expression", "true") if isinstance(value, dict) else value)


def _items(element: Json) -> Iterator[Json]:
    for item in element.get("item", ()):
        yield item
        yield from _items(item)


def _answered(element: Json, path: str) -> Iterator[tuple[Json, str]]:
    for index, item in enumerate(element.get("item", ())):
        where = f"{path}.item[{index}]"
        yield item, where
        yield from _answered(item, where)
        for number, answer in enumerate(item.get("answer", ())):
            yield from _answered(answer, f"{where}.answer[{number}]")


def _evaluated(registry: Registry, rule: Json, node: Node, path: str, env: Env) -> Iterator[Issue]:
    key, severity = rule.get("key", "questionnaire-constraint"), rule.get("severity")
    try:
        compiled, _ = compile_node_expression(rule.get("expression", "true"), node[0], registry)
        env.context = focus = [node]
        held = compiled.condition()(focus, env)
    except FhirPathError as error:
        text = f"Whether the questionnaire's rule {key} holds cannot be told here: {error}"
        yield Issue("information", "not-supported", text, path, rule=key)
        return
    if held is False:
        text = rule.get("human", "A rule of the questionnaire is broken.")
        yield Issue("warning" if severity == "warning" else "error", "invariant", f"{text} ({key})", path, rule=key)
