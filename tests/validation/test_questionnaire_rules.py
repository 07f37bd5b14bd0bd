"""Questionnaires that can work, and responses against the Questionnaire that they name. What each kind of answer may be
is in tests/features/scheduling/test_answers.py."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import Unprocessable
from fhir_server.validation.questionnaires import responses
from fhir_server.validation.run import check, validate
from fhir_server.validation.scope import Scope

Json = dict[str, Any]
URL = "http://example.org/Questionnaire/intake"
COLOURS = "http://example.org/ValueSet/colours"


def questionnaire(*items: Json, **more: Any) -> Json:
    return {"resourceType": "Questionnaire", "url": URL, "status": "active", "item": list(items), **more}


def item(link: str, kind: str, **more: Any) -> Json:
    return {"linkId": link, "type": kind, **more}


def when(question: str, operator: str = "=", **answer: Any) -> list[Json]:
    return [{"question": question, "operator": operator, **answer}]


def faults(resource: Json) -> set[tuple[str | None, str | None]]:
    try:
        validate(base_registry(), resource)
    except Unprocessable as error:
        return {(issue.expression, issue.rule) for issue in error.issues}
    return set()


CODED = {"valueCoding": {"system": "urn:c", "code": "red"}}
GOOD: list[Json] = [
    questionnaire(item("1", "boolean"), item("2", "string", enableWhen=when("1", answerBoolean=True))),
    questionnaire(item("1", "integer"), item("2", "string", enableWhen=when("1", ">=", answerInteger=3))),
    questionnaire(item("1", "choice", answerOption=[{"valueInteger": 1}]),
                  item("2", "string", enableWhen=when("1", answerInteger=1))),
    questionnaire(item("1", "open-choice", initial=[{"valueString": "other"}])),
    questionnaire(item("1", "choice", answerOption=[CODED]),
                  item("2", "string", enableWhen=when("1", answerCoding={"system": "urn:c", "code": "red"}))),
    questionnaire(item("g", "group", item=[item("1", "date", initial=[{"valueDate": "2020"}])])),
]  # fmt: skip
BAD: list[tuple[Json, str, str]] = [
    (questionnaire(item("1", "boolean"), item("1", "string")), "Questionnaire", "que-2"),
    (questionnaire(item("1", "display", text="x"), item("2", "string", enableWhen=when("1", answerString="x"))),
     "Questionnaire.item[1].enableWhen[0].question", "questionnaire-enable-when"),
    (questionnaire(item("1", "boolean"), item("2", "string", enableWhen=when("1", answerString="true"))),
     "Questionnaire.item[1].enableWhen[0].answer", "questionnaire-enable-when"),
    (questionnaire(item("1", "string", enableWhen=when("1", answerString="x"))),
     "Questionnaire.item[0].enableWhen[0].question", "questionnaire-enable-when"),
    (questionnaire(item("g", "group", item=[item("1", "date", initial=[{"valueString": "today"}])])),
     "Questionnaire.item[0].item[0].initial[0].value", "questionnaire-initial"),
    (questionnaire(item("1", "choice", answerOption=[CODED], initial=[CODED])), "Questionnaire.item[0]", "que-11"),
    (questionnaire(item("1", "boolean"), item("2", "string", enableWhen=when("1", answerBoolean=True) * 3)),
     "Questionnaire.item[1]", "que-12"),
]  # fmt: skip


@pytest.mark.parametrize("resource", GOOD)
def test_good_questionnaires(resource: Json) -> None:
    assert faults(resource) == set()


@pytest.mark.parametrize(("resource", "place", "rule"), BAD)
def test_bad_questionnaires(resource: Json, place: str, rule: str) -> None:
    assert (place, rule) in faults(resource)


# -- responses ---------------------------------------------------------------------------------------------------------


class _Definitions:
    def __init__(self, *held: Json) -> None:
        self._held = {each["url"]: each for each in held}

    def find(self, resource_type: str, canonical: str) -> Json | None:
        found = self._held.get(canonical.partition("|")[0])
        return found if found is not None and found["resourceType"] == resource_type else None


class _Colours:
    """A value set of one code; of others it cannot tell."""

    def check(self, value_set: str, system: str | None, code: str) -> bool | None:
        return (system, code) == ("urn:c", "red") if value_set == COLOURS else None


def told(questions: Json | None, response: Json, **more: Any) -> list[tuple[str | None, str, str]]:
    scope = Scope(base_registry(), _Definitions(*([questions] if questions else [])), _Colours(), **more)  # type: ignore[arg-type]
    return [(issue.expression, issue.code, issue.severity) for issue in responses.issues(scope, response)]


def response(*items: Json, status: str = "completed", **more: Any) -> Json:
    found: Json = {"resourceType": "QuestionnaireResponse", "questionnaire": URL, "status": status, **more}
    return {**found, "item": list(items)} if items else found


def answer(link: str, *values: Json) -> Json:
    return {"linkId": link, "answer": list(values)}


FORM = questionnaire(
    item("1", "boolean", required=True),
    item("2", "choice", answerValueSet=COLOURS),
    item("3", "string", required=True, enableWhen=when("1", answerBoolean=True)),
    item("4", "choice", answerValueSet="http://example.org/ValueSet/unknown"),
    item("5", "open-choice", answerValueSet="#c"),
    contained=[{"resourceType": "ValueSet", "id": "c", "status": "active", "compose": {
        "include": [{"system": "urn:c", "concept": [{"code": "red"}]}]}}],
)  # fmt: skip
NO, YES = {"valueBoolean": False}, {"valueBoolean": True}
BLUE = {"valueCoding": {"system": "urn:c", "code": "blue"}}
RESPONSES: list[tuple[str, Json, list[tuple[str, str]]]] = [
    ("complete", response(answer("1", NO), answer("2", CODED)), []),
    ("nothing", response(), [("QuestionnaireResponse", "required")]),
    ("nothing yet", response(status="in-progress"), []),
    ("wrong already", response(answer("1", {"valueString": "no"}), status="in-progress"),
     [("QuestionnaireResponse.item[0].answer[0].valueString", "value")]),
    ("unknown item", response(answer("1", NO), answer("9", NO)), [("QuestionnaireResponse.item[1].linkId", "structure")]),
    ("disabled item", response(answer("1", NO), answer("3", {"valueString": "x"})),
     [("QuestionnaireResponse.item[1]", "business-rule")]),
    ("disabled item of a draft", response(answer("1", NO), answer("3", {"valueString": "x"}), status="in-progress"), []),
    ("enabled and missing", response(answer("1", YES)), [("QuestionnaireResponse", "required")]),
    ("another code", response(answer("1", NO), answer("2", BLUE)),
     [("QuestionnaireResponse.item[1].answer[0].valueCoding", "code-invalid")]),
    ("a value set that is not here", response(answer("1", NO), answer("4", BLUE)), []),
    ("a contained value set", response(answer("1", NO), answer("5", BLUE)),
     [("QuestionnaireResponse.item[1].answer[0].valueCoding", "code-invalid")]),
    ("own words", response(answer("1", NO), answer("5", {"valueString": "violet"})), []),
]  # fmt: skip


@pytest.mark.parametrize(("what", "resource", "expected"), RESPONSES, ids=[row[0] for row in RESPONSES])
def test_responses(what: str, resource: Json, expected: list[tuple[str, str]]) -> None:
    assert told(FORM, resource) == [(place, code, "error") for place, code in expected]


def test_out_of_order_is_a_warning() -> None:
    resource = response(answer("2", CODED), answer("1", NO))
    assert told(FORM, resource) == [("QuestionnaireResponse.item[1]", "structure", "warning")]


def test_where_the_questionnaire_is_found() -> None:
    wrong = response(answer("9", NO))
    assert told(None, wrong) == []
    assert told(None, {**wrong, "questionnaire": "#q", "contained": [{**FORM, "id": "q"}]}) != []
    local = {**wrong, "questionnaire": "Questionnaire/1|2"}
    assert told(None, local, resolve=lambda name: FORM if name == "Questionnaire/1" else None) != []
    assert told(None, local, resolve=lambda name: {"resourceType": "Patient"}) == []
    assert told(None, {"resourceType": "QuestionnaireResponse", "status": "completed"}) == []


# -- what R4's extensions say of questions -------------------------------------------------------------------------------

EXTENSION = "http://hl7.org/fhir/StructureDefinition/"


def says(name: str, *parts: Json, **value: Any) -> Json:
    return {"url": EXTENSION + name, **({"extension": list(parts)} if parts else value)}


def rule(expression: str, severity: str = "error") -> Json:
    named = {"key": {"valueId": "q-1"}, "severity": {"valueCode": severity}, "human": {"valueString": "So it is."}}
    parts = {**named, "expression": {"valueString": expression}}
    return says("questionnaire-constraint", *({"url": url, **value} for url, value in parts.items()))


def coded(code: str) -> Json:
    return {"valueCoding": {"system": "urn:c", "code": code}}


def quantity(code: str) -> Json:
    return {"valueQuantity": {"value": 1, "system": "urn:c", "code": code}}


NONE = {**coded("none"), "extension": [says("questionnaire-optionExclusive", valueBoolean=True)]}
KINDS = [says("questionnaire-referenceResource", valueCode=name) for name in ("Patient", "Device")]
EXTENDED: list[tuple[str, Json, list[Json], list[Json], str]] = [
    ("regex", item("1", "string", extension=[says("regex", valueString="[A-Z]+")]), [{"valueString": "AB"}],
     [{"valueString": "Ab"}], "valueString"),
    ("minLength", item("1", "string", extension=[says("minLength", valueInteger=2)]), [{"valueString": "AB"}],
     [{"valueString": "A"}], "valueString"),
    ("maxDecimalPlaces", item("1", "decimal", extension=[says("maxDecimalPlaces", valueInteger=1)]),
     [{"valueDecimal": Decimal("1.5")}], [{"valueDecimal": Decimal("1.55")}], "valueDecimal"),
    ("maxSize", item("1", "attachment", extension=[says("maxSize", valueDecimal=1)]), [{"valueAttachment": {"size": 1000}}],
     [{"valueAttachment": {"size": 2_000_000}}], "valueAttachment"),
    ("mimeType", item("1", "attachment", extension=[says("mimeType", valueCode="image/png"), says("mimeType", valueCode="image/gif")]),
     [{"valueAttachment": {"contentType": "image/gif"}}], [{"valueAttachment": {"contentType": "text/plain"}}], "valueAttachment"),
    ("unitOption", item("1", "quantity", extension=[says("questionnaire-unitOption", valueCoding={"system": "urn:c", "code": "kg"})]),
     [quantity("kg")], [quantity("g")], "valueQuantity"),
    ("unitValueSet", item("1", "quantity", extension=[says("questionnaire-unitValueSet", valueCanonical=COLOURS)]),
     [quantity("red")], [quantity("g")], "valueQuantity"),
    ("referenceResource", item("1", "reference", extension=KINDS), [{"valueReference": {"reference": "Device/1"}}],
     [{"valueReference": {"reference": "Group/1"}}], "valueReference"),
    ("optionExclusive", item("1", "choice", repeats=True, answerOption=[coded("a"), coded("b"), NONE]), [coded("a"), coded("b")],
     [coded("none"), coded("a")], "valueCoding"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "question", "good", "bad", "place"), EXTENDED, ids=[row[0] for row in EXTENDED])
def test_extensions_of_questions(what: str, question: Json, good: list[Json], bad: list[Json], place: str) -> None:
    form = questionnaire(question)
    assert told(form, response(answer("1", *good))) == []
    assert [row[0] for row in told(form, response(answer("1", *bad)))] == [f"QuestionnaireResponse.item[0].answer[0].{place}"]


def test_an_answer_that_excludes_others_may_stand_alone() -> None:
    form = questionnaire(item("1", "choice", repeats=True, answerOption=[coded("a"), NONE]))
    assert told(form, response(answer("1", coded("none")))) == []


def test_rules_of_the_questionnaire_and_of_its_items() -> None:
    form = questionnaire(
        item("1", "integer", extension=[rule("answer.value > 3", "warning")]), item("2", "integer"), extension=[rule("item.count() = 2")]
    )
    good = response(answer("1", {"valueInteger": 4}), answer("2", {"valueInteger": 1}))
    assert told(form, good) == []
    bad = response(answer("1", {"valueInteger": 3}))
    assert told(form, bad) == [
        ("QuestionnaireResponse", "invariant", "error"), ("QuestionnaireResponse.item[0]", "invariant", "warning"),
    ]  # fmt: skip
    assert told(form, {**bad, "status": "in-progress"}) == []


def test_a_rule_that_cannot_be_evaluated_is_told_of() -> None:
    form = questionnaire(item("1", "integer"), extension=[rule("item.where(")])
    assert told(form, response(answer("1", {"valueInteger": 3}))) == [("QuestionnaireResponse", "not-supported", "information")]


def test_only_so_many_rules_are_evaluated() -> None:
    form = questionnaire(item("1", "integer"), extension=[rule("true")] * 600)
    assert told(form, response(answer("1", {"valueInteger": 3}))) == [("QuestionnaireResponse", "too-costly", "warning")]


SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
EXPRESSION = {"valueExpression": {"language": "text/fhirpath", "expression": "1"}}


def sdc(name: str, expression: str) -> Json:
    return {"url": f"{SDC}{name}", "valueExpression": {"language": "text/fhirpath", "expression": expression}}


@pytest.mark.parametrize(
    ("extension", "severities"),
    [(sdc("initialExpression", "1"), ["information"]), (sdc("calculatedExpression", "1"), []),
     (sdc("calculatedExpression", "1 +"), ["warning"]), (sdc("initialExpression", "1 +"), ["warning"])],
)  # fmt: skip
def test_expressions_that_are_not_evaluated_or_cannot_be_read_are_told_of(extension: Json, severities: list[str]) -> None:
    form = questionnaire(item("1", "integer", extension=[extension]))
    told_of = [(i.severity, i.expression) for i in check(base_registry(), form) if i.rule == "questionnaire-expression"]
    assert told_of == [(severity, "Questionnaire.item[0].extension[0]") for severity in severities]


ONE = "%resource.item.where(linkId = '1').answer.value"
SUM = {"url": "http://hl7.org/fhir/StructureDefinition/variable",
       "valueExpression": {"name": "sum", "language": "text/fhirpath", "expression": "item.where(linkId = '1').answer.value + 1"}}  # fmt: skip


def expressed(name: str, expression: str, kind: str = "integer", **more: Any) -> Json:
    """A question, and another one with an expression."""
    second = item("2", kind, extension=[sdc(name, expression)], **more)
    return questionnaire(item("1", "integer"), second, extension=[SUM])


def number(link: str, value: Any, kind: str = "Integer") -> Json:
    return answer(link, {f"value{kind}": value})


# What the form says, the response's items, what is advised where.
ADVICE: list[tuple[str, Json, list[Json], str | None]] = [
    ("enabled", expressed("enableWhenExpression", f"{ONE} > 3"), [number("1", 4), number("2", 1)], None),
    ("disabled", expressed("enableWhenExpression", f"{ONE} > 3"), [number("1", 3), number("2", 1)], "item[1]"),
    ("disabled, for nothing is known", expressed("enableWhenExpression", f"{ONE} > 3"), [number("2", 1)], "item[0]"),
    ("disabled and not answered", expressed("enableWhenExpression", f"{ONE} > 3", required=True), [number("1", 3)], None),
    ("enabled and missing", expressed("enableWhenExpression", f"{ONE} > 3", required=True), [number("1", 4)], ""),
    ("a variable", expressed("enableWhenExpression", "%sum > 4"), [number("1", 3), number("2", 1)], "item[1]"),
    ("an unknown variable", expressed("enableWhenExpression", "%patient.active"), [number("2", 1)], None),
    ("no truth", expressed("enableWhenExpression", ONE), [number("1", 3), number("2", 1)], None),
    ("calculated", expressed("calculatedExpression", f"{ONE} * 2"), [number("1", 3), number("2", 6)], None),
    ("otherwise", expressed("calculatedExpression", f"{ONE} * 2"), [number("1", 3), number("2", 7)], "item[1].answer[0]"),
    ("rounded", expressed("calculatedExpression", f"{ONE} / 7", "decimal"),
     [number("1", 5), number("2", Decimal("0.71"), "Decimal")], None),
    ("cut off", expressed("calculatedExpression", f"{ONE} / 7", "decimal"),
     [number("1", 6), number("2", Decimal("0.85"), "Decimal")], None),
    ("too far", expressed("calculatedExpression", f"{ONE} / 7", "decimal"),
     [number("1", 6), number("2", Decimal("0.84"), "Decimal")], "item[1].answer[0]"),
    ("as a quantity", expressed("calculatedExpression", f"{ONE} * 2", "quantity"),
     [number("1", 3), number("2", {"value": 6, "code": "kg"}, "Quantity")], None),
    ("not told yet", expressed("calculatedExpression", f"{ONE} * 2"), [number("2", 7)], None),
    ("offered", expressed("answerExpression", f"{ONE} | 9"), [number("1", 3), number("2", 9)], None),
    ("not offered", expressed("answerExpression", f"{ONE} | 9"), [number("1", 3), number("2", 8)], "item[1].answer"),
    ("fixed", questionnaire(item("1", "integer", readOnly=True, initial=[{"valueInteger": 1}])), [number("1", 1)], None),
    ("changed", questionnaire(item("1", "integer", readOnly=True, initial=[{"valueInteger": 1}])), [number("1", 2)],
     "item[0].answer[0]"),
    ("filled in", questionnaire(item("1", "integer", readOnly=True)), [number("1", 2)], None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "form", "items", "place"), ADVICE, ids=[row[0] for row in ADVICE])
def test_what_expressions_advise(what: str, form: Json, items: list[Json], place: str | None) -> None:
    root = "QuestionnaireResponse"
    wanted = [] if place is None else [(f"{root}.{place}" if place else root, "warning")]
    assert [(row[0], row[2]) for row in told(form, response(*items))] == wanted
    assert told(form, response(*items, status="in-progress")) == []


PATIENTS = "http://hl7.org/fhir/StructureDefinition/Patient"


def test_references_by_the_profiles_that_a_question_demands() -> None:
    form = questionnaire(item("1", "reference", extension=[says("questionnaire-referenceProfile", valueCanonical=PATIENTS)]))
    assert told(form, response(answer("1", {"valueReference": {"reference": "Patient/1"}}))) == []
    assert told(form, response(answer("1", {"valueReference": {"display": "somebody"}}))) == []
    place = "QuestionnaireResponse.item[0].answer[0].valueReference"
    assert told(form, response(answer("1", {"valueReference": {"reference": "Group/1"}}))) == [(place, "value", "error")]


def test_rules_in_their_later_form_are_evaluated() -> None:
    parts = [{"url": "key", "valueId": "r-1"}, {"url": "severity", "valueCode": "error"}, {"url": "human", "valueString": "x"},
             {"url": "expression", "valueExpression": {"language": "text/fhirpath", "expression": "answer.value > 3"}}]  # fmt: skip
    form = questionnaire(item("1", "integer", extension=[{"url": "http://hl7.org/fhir/StructureDefinition/targetConstraint", "extension": parts}]))
    assert told(form, response(number("1", 4))) == []
    assert told(form, response(number("1", 3))) == [("QuestionnaireResponse.item[0]", "invariant", "error")]


def test_what_an_expression_may_have_disabled_is_not_asked_for() -> None:
    extension = [{"url": f"{SDC}enableWhenExpression", **EXPRESSION}]
    form = questionnaire(item("1", "boolean"), item("2", "string", required=True, extension=extension))
    assert told(form, response(answer("1", NO))) == []
    assert told(form, response(answer("1", NO), answer("2", NO))) != []
