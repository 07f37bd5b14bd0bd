"""What is worth knowing of a complete response and refuses nothing: answers that an expression of the form tells
otherwise, and such as were not to be changed. Warnings.

https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.readOnly, http://hl7.org/fhir/uv/sdc/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from fhir_server.core.errors import Issue
from fhir_server.fhirpath import Node
from fhir_server.validation.questionnaires.answer_values import equal, value_name
from fhir_server.validation.questionnaires.expressions import ANSWERS, CALCULATED, SDC, Expressions

Json = Mapping[str, Any]
# (linkId's definition, item of the response, its path)
Placed = Iterable[tuple[Json, Json, str]]


def advice(expressions: Expressions, items: Placed) -> Iterator[Issue]:
    """A warning for each: answered though disabled by expression, other than calculated, not among the answers that an
    expression offers, other than the initial value of a `readOnly` item."""
    for definition, item, path in items:
        answers = [(name, answer[name]) for answer in item.get("answer", ()) if (name := value_name(answer))]
        if not answers:
            continue
        name = f"The item {definition['linkId']!r}"
        if expressions.applies(definition, item) is False:
            text = f"{name} is answered, and the questionnaire's enableWhenExpression says that it does not apply."
            yield _warning(path, "business-rule", text)
        calculated = expressions.value(definition, CALCULATED, item)
        if calculated and not all(_among(*each, calculated) for each in answers):
            text = f"The answer to {name[4:]} differs from what the questionnaire's calculatedExpression gives."
            yield _warning(f"{path}.answer[0]", "value", text)
        offered = expressions.value(definition, ANSWERS, item)
        if offered and not all(_among(*each, offered) for each in answers):
            text = f"An answer to {name[4:]} is none of those that the questionnaire's answerExpression offers."
            yield _warning(f"{path}.answer", "code-invalid", text)
        if _changed(definition, answers):
            text = f"{name} is readOnly, and its answer is not the initial value of the questionnaire."
            yield _warning(f"{path}.answer[0]", "business-rule", text)


def _changed(definition: Json, answers: Sequence[tuple[str, Any]]) -> bool:
    initial = [(name, each[name]) for each in definition.get("initial", ()) if (name := value_name(each))]
    filled = any(str(each.get("url", "")).startswith(SDC) for each in definition.get("extension", ()))
    if not definition.get("readOnly") or not initial or filled:
        return False
    return len(initial) != len(answers) or not all(
        any(name == other and equal(name, value, wanted) for other, wanted in initial) for name, value in answers
    )


def _among(name: str, value: Any, nodes: Sequence[Node]) -> bool:
    return any(_same(name, value, node[1]) for node in nodes)


def _same(name: str, value: Any, told: Any) -> bool:
    if isinstance(value, dict) and "value" in value and isinstance(told, Decimal | int):
        value = value["value"]
    if isinstance(value, dict) and isinstance(told, dict) and "value" in value and "value" in told:
        same_unit = "code" not in value or "code" not in told or value["code"] == told["code"]
        return same_unit and _same(name, value["value"], told["value"])
    if isinstance(value, Decimal | int) and isinstance(told, Decimal | int) and not isinstance(value, bool):
        # As exact as the answer is, rounded or cut off.
        exponent = Decimal(value).as_tuple().exponent
        return abs(Decimal(value) - Decimal(told)) < Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return equal(name, value, told)


def _warning(path: str, code: str, text: str) -> Issue:
    return Issue("warning", code, text, path, rule="questionnaire-advice")
