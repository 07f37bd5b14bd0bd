"""Questionnaires: conditions, options and initial values that can work. Unique linkIds and what may stand on which item
are invariants (que-1 to que-13).

https://hl7.org/fhir/R4/questionnaire.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Structure
from fhir_server.validation.questionnaires.answer_values import TYPES, value_name
from fhir_server.validation.questionnaires.expressions import ANSWERS, CALCULATED, ENABLED, SDC, unreadable
from fhir_server.validation.walk import Path, Rule, Visit, Walk

Json = Mapping[str, Any]
Fault = tuple[Path, str, str]

_WITHOUT_ANSWER = frozenset({"group", "display"})
# What stands in a condition is the type of the answer that it is compared with.
_ANSWERS = {kind: tuple("answer" + name[len("value") :] for name in names) for kind, names in TYPES.items()}


def _every(element: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    for index, item in enumerate(element.get("item", ())):
        place: Path = (path, "item", index)
        yield place, item
        yield from _every(item, place)


def _conditions(item: Json, path: Path, known: Mapping[str, Json]) -> Iterator[Fault]:
    for index, condition in enumerate(item.get("enableWhen", ())):
        place: Path = (path, "enableWhen", index)
        question = known.get(condition.get("question", ""))
        if question is None:
            continue
        kind, given = question.get("type", ""), value_name(condition, "answer")
        if question is item:
            yield (place, "question", None), "An item cannot depend on itself.", "questionnaire-enable-when"
        elif kind in _WITHOUT_ANSWER:
            text = f"The question is of type {kind}, which has no answer."
            yield (place, "question", None), text, "questionnaire-enable-when"
        elif condition.get("operator") != "exists" and kind in TYPES and given not in _allowed(question, kind):
            text = f"The question is of type {kind}; its answers are compared with {' or '.join(_ANSWERS[kind])}."
            yield (place, "answer", None), text, "questionnaire-enable-when"


def _nowhere(item: Json, path: Path, known: Mapping[str, Json]) -> Iterator[Fault]:
    for index, condition in enumerate(item.get("enableWhen", ())):
        if condition.get("question") not in known:
            text = "No item of this questionnaire has this linkId, so the condition never has an answer."
            yield ((path, "enableWhen", index), "question", None), text, "questionnaire-enable-when"


def _allowed(question: Json, kind: str) -> tuple[str, ...]:
    """A choice may have options of other types than Coding."""
    options = (value_name(option) for option in question.get("answerOption", ()))
    return (*_ANSWERS[kind], *("answer" + name[len("value") :] for name in options if name))


def _initial(item: Json, path: Path) -> Iterator[Fault]:
    names = TYPES.get(item.get("type", ""))
    for index, initial in enumerate(item.get("initial", ())):
        name = value_name(initial)
        if names is not None and name is not None and name not in names:
            text = f"An item of type {item.get('type')} begins with {' or '.join(names)}."
            yield ((path, "initial", index), "value", None), text, "questionnaire-initial"


def _on_object(registry: Registry, structure: Structure) -> Visit | None:
    if structure.name != "Questionnaire":
        return None

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        items, known = _items(value, path)
        for place, item in items:
            for at, text, rule in (*_conditions(item, place, known), *_initial(item, place)):
                walk.fail(at, "invariant", text, rule=rule)

    return visit


def _remarks(registry: Registry, structure: Structure) -> Visit | None:
    if structure.name != "Questionnaire":
        return None

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        items, known = _items(value, path)
        for place, item in items:
            for at, text, rule in _nowhere(item, place, known):
                walk.fail(at, "not-found", text, "warning", rule)
            for at, text, severity in _expressions(item, place, registry):
                walk.fail(at, "not-supported", text, severity, "questionnaire-expression")

    return visit


def _expressions(item: Json, path: Path, registry: Registry) -> Iterator[tuple[Path, str, str]]:
    """(place, text, severity): of expressions that cannot be read, and of those that are not evaluated here."""
    for index, extension in enumerate(item.get("extension", ())):
        url, place = str(extension.get("url", "")), (path, "extension", index)
        if not url.startswith(SDC) or not url.endswith("Expression"):
            continue
        problem = unreadable(extension.get("valueExpression"), registry)
        if problem:
            yield place, f"The {url.removeprefix(SDC)} cannot be read: {problem}", "warning"
        elif url not in (ENABLED, CALCULATED, ANSWERS):
            yield place, f"{url.removeprefix(SDC)} is kept and not evaluated here.", "information"


def _items(questionnaire: Json, path: Path) -> tuple[list[tuple[Path, Json]], dict[str, Json]]:
    """Every item with its place, and every item by its linkId."""
    items = list(_every(questionnaire, path))
    return items, {item["linkId"]: item for _, item in items if "linkId" in item}


QUESTIONNAIRES = Rule("questionnaires", on_object=_on_object)
QUESTIONNAIRE_REMARKS = Rule("questionnaire-remarks", on_object=_remarks)
