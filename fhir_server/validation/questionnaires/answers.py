"""A QuestionnaireResponse against its Questionnaire. Pure.

https://hl7.org/fhir/R4/questionnaireresponse.html, https://hl7.org/fhir/R4/questionnaire.html
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.core.errors import Issue
from fhir_server.validation.questionnaires import answer_values
from fhir_server.validation.questionnaires.enablement import Enablement
from fhir_server.validation.questionnaires.expressions import ENABLED

Json = Mapping[str, Any]

_MIN_OCCURS = "http://hl7.org/fhir/StructureDefinition/questionnaire-minOccurs"
_MAX_OCCURS = "http://hl7.org/fhir/StructureDefinition/questionnaire-maxOccurs"
_EXCLUSIVE = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive"
_UNITS = "http://hl7.org/fhir/StructureDefinition/questionnaire-unitValueSet"
_ROOT = "QuestionnaireResponse"
_ENOUGH = 50


# Whether a coding is in a value set that the questionnaire names; None when that cannot be told.
Member = Callable[[str, Json], "bool | None"]
# Whether an item that is missing applies by its own expression; None when it has none, or that cannot be told.
Applies = Callable[[Json], "bool | None"]


def check(
    questionnaire: Json,
    response: Json,
    *,
    complete: bool = True,
    member: Member = lambda value_set, coding: None,
    applies: Applies = lambda definition: None,
) -> list[Issue]:
    """What is wrong with a response, in its order, at most 50 issues; empty when nothing is.

    Required items are needed where they are enabled, also in a group that was left out (a repeating group that was left
    out was repeated no times), and an item that is disabled must not be answered; neither holds for a response that is
    not `complete` yet. What an expression enables is asked for with a warning only.
    """
    walk = _Walk(questionnaire, response, complete, member, applies)
    walk.level(questionnaire.get("item", ()), response.get("item", ()), _ROOT, (response,))
    return walk.issues[:_ENOUGH]


def out_of_order(questionnaire: Json, response: Json) -> Iterator[Issue]:
    """A warning for every item that stands before one that it follows in the questionnaire."""
    places = {item["linkId"]: place for place, item in enumerate(_every(questionnaire.get("item", ())))}
    for path, items in _levels(response, _ROOT):
        last = -1
        for index, item in enumerate(items):
            place = places.get(item.get("linkId", ""), last)
            if place < last:
                text = f"The item {item['linkId']!r} follows others that stand behind it in the questionnaire."
                yield Issue("warning", "structure", text, f"{path}.item[{index}]", rule="questionnaire-order")
            last = max(last, place)


def _levels(element: Json, path: str) -> Iterator[tuple[str, Sequence[Json]]]:
    """(path, items) of every element that has items."""
    items = element.get("item", ())
    if items:
        yield path, items
    for index, item in enumerate(items):
        where = f"{path}.item[{index}]"
        yield from _levels(item, where)
        for number, answer in enumerate(item.get("answer", ())):
            yield from _levels(answer, f"{where}.answer[{number}]")


class _Walk:
    def __init__(self, questionnaire: Json, response: Json, complete: bool, member: Member, applies: Applies) -> None:
        self.issues: list[Issue] = []
        self._complete = complete
        self._member = member
        self._applies = applies
        self._known = {item["linkId"] for item in _every(questionnaire.get("item", ()))}
        self._enablement = Enablement(questionnaire, response)

    def level(self, definitions: Sequence[Json], items: Sequence[Json], path: str, scope: tuple[Json, ...]) -> None:
        """Items that stand side by side, below the elements `scope` (outermost first)."""
        found: dict[str, list[tuple[str, Json]]] = {}
        for index, item in enumerate(items):
            found.setdefault(item.get("linkId", ""), []).append((f"{path}.item[{index}]", item))
        here = {definition["linkId"] for definition in definitions}
        for link, places in found.items():
            if link not in here:
                self._unknown(link, [where for where, _ in places])
        for definition in definitions:
            self._item(definition, found.get(definition["linkId"], []), path, scope)

    def _item(self, definition: Json, places: list[tuple[str, Json]], path: str, scope: tuple[Json, ...]) -> None:
        if not places and answer_values.extensions(definition, ENABLED):
            if self._complete and definition.get("required") and self._applies(definition):
                text = f"{_name(definition)} is required: by the questionnaire's enableWhenExpression it applies."
                self._say(path, text, "required", "warning")
            return
        if not self._enablement.enabled(definition, scope):
            for where, item in places:
                if self._complete and _is_answered(item):
                    self._say(where, f"{_name(definition)} does not apply, given the other answers.", "business-rule")
            return
        kind = definition.get("type")
        if kind == "display":
            for where, item in places:
                if _is_answered(item):
                    self._say(where, f"{_name(definition)} is text to show; it takes no answer.", "structure")
        elif kind == "group":
            self._group(definition, places, path, scope)
        else:
            self._question(definition, places, path, scope)

    def _group(self, definition: Json, places: list[tuple[str, Json]], path: str, scope: tuple[Json, ...]) -> None:
        self._number(definition, [where for where, _ in places], path, "times")
        children = definition.get("item", ())
        for where, item in places:
            if item.get("answer"):
                self._say(
                    f"{where}.answer", f"{_name(definition)} is a group; answers belong to its items.", "structure"
                )
            self.level(children, item.get("item", ()), where, (*scope, item))
        answered = any(_is_answered(item) for _, item in places)
        if self._complete and places and definition.get("required") and not answered:
            self._say(places[0][0], f"{_name(definition)} is required: something in it must be answered.", "required")
        if not places and not definition.get("repeats"):
            self.level(children, (), path, (*scope, {"linkId": definition["linkId"]}))

    def _question(self, definition: Json, places: list[tuple[str, Json]], path: str, scope: tuple[Json, ...]) -> None:
        for where, _ in places[1:]:
            self._say(where, f"{_name(definition)} stands twice; several answers go into one item.", "structure")
        answers: list[tuple[str, Json]] = []
        for where, item in places:
            if item.get("item"):
                self._say(
                    f"{where}.item", f"Items below a question go into its answer: {where}.answer[..].item.", "structure"
                )
            answers += [(f"{where}.answer[{n}]", answer) for n, answer in enumerate(item.get("answer", ()))]
        self._number(definition, [where for where, _ in answers], places[0][0] if places else path, "answers")
        self._exclusive(definition, answers)
        children = definition.get("item", ())
        for where, answer in answers:
            for element, text, code in answer_values.problems(definition, answer):
                self._say(f"{where}.{element}" if element else where, f"{_name(definition)} {text}", code)
            self._coded(definition, answer, where)
            self.level(children, answer.get("item", ()), where, (*scope, answer))

    def _exclusive(self, definition: Json, answers: Sequence[tuple[str, Json]]) -> None:
        """An option that stands alone: "none of these"."""
        options = definition.get("answerOption", ()) if len(answers) > 1 else ()
        alone = [option for option in options if True in answer_values.extensions(option, _EXCLUSIVE)]
        for where, answer in answers:
            name = answer_values.value_name(answer) or ""
            if any(answer_values.equal(name, answer.get(name), option.get(name)) for option in alone):
                text = f"{_name(definition)} has an answer here that excludes all others."
                self._say(f"{where}.{name}", text, "business-rule")

    def _coded(self, definition: Json, answer: Json, where: str) -> None:
        value_set, coding = definition.get("answerValueSet"), answer.get("valueCoding")
        if value_set is not None and coding is not None and self._member(value_set, coding) is False:
            text = f"{_name(definition)} takes a code of {value_set}."
            self._say(f"{where}.valueCoding", text, "code-invalid")
        quantity = answer.get("valueQuantity")
        for units in answer_values.extensions(definition, _UNITS):
            if quantity is not None and self._member(units, quantity) is False:
                self._say(f"{where}.valueQuantity", f"{_name(definition)} takes a unit of {units}.", "code-invalid")

    def _number(self, definition: Json, places: Sequence[str], path: str, word: str) -> None:
        least = max(int(bool(definition.get("required"))), answer_values.limit(definition, _MIN_OCCURS) or 0)
        most = answer_values.limit(definition, _MAX_OCCURS) if definition.get("repeats") else 1
        if not self._complete:
            least = 0
        if not places and least:
            self._say(path, f"{_name(definition)} is required.", "required")
        elif len(places) < least:
            self._say(path, f"{_name(definition)} is needed at least {least} {word}.", "business-rule")
        if most is not None and len(places) > most:
            limit = "does not repeat" if most == 1 else f"is taken at most {most} times"
            self._say(places[most], f"{_name(definition)} {limit}.", "business-rule")

    def _unknown(self, link: str, places: Sequence[str]) -> None:
        text = "stands elsewhere in the questionnaire" if link in self._known else "is not in the questionnaire"
        for where in places:
            self._say(f"{where}.linkId", f"The item {link!r} {text}.", "structure")

    def _say(self, expression: str, text: str, code: str, severity: str = "error") -> None:
        self.issues.append(Issue(severity, code, text, expression, rule="questionnaire"))


def _every(items: Sequence[Json]) -> Iterator[Json]:
    for item in items:
        yield item
        yield from _every(item.get("item", ()))


def _is_answered(item: Json) -> bool:
    return bool(item.get("answer")) or any(_is_answered(child) for child in item.get("item", ()))


def _name(definition: Json) -> str:
    return f"The item {definition['linkId']!r}"
