"""Completed answers against their questionnaire: what applies, what is required, types, options, bounds, places."""

import time
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.validation.questionnaires.answers import check

Json = dict[str, Any]
MIN, MAX = "http://hl7.org/fhir/StructureDefinition/minValue", "http://hl7.org/fhir/StructureDefinition/maxValue"


def question(link: str, kind: str = "string", **more: Any) -> Json:
    return {"linkId": link, "type": kind, **more}


def when(link: str, operator: str = "=", **answer: Any) -> Json:
    return {"question": link, "operator": operator, **answer}


def item(link: str, *values: Json, items: list[Json] | None = None) -> Json:
    return {"linkId": link} | ({"answer": list(values)} if values else {}) | ({"item": items} if items else {})


def found(definitions: list[Json], items: list[Json]) -> list[tuple[str, str]]:
    """(expression, issue code) of what is wrong."""
    issues = check({"item": definitions}, {"item": items})
    assert all(issue.text and issue.severity == "error" for issue in issues)
    return [(issue.expression or "", issue.code) for issue in issues]


YES, NO = {"valueBoolean": True}, {"valueBoolean": False}
TEXT = {"valueString": "x"}


def test_required_is_needed_and_optional_is_not() -> None:
    definitions = [question("a", required=True), question("b")]
    assert found(definitions, []) == [("QuestionnaireResponse", "required")]
    assert found(definitions, [item("a")]) == [("QuestionnaireResponse.item[0]", "required")]
    assert found(definitions, [item("a", TEXT)]) == []


def test_what_is_required_in_a_group_cannot_be_escaped_by_leaving_the_group_out() -> None:
    inner = [question("a", required=True)]
    assert found([question("g", "group", item=inner)], []) == [("QuestionnaireResponse", "required")]
    assert found([question("g", "group", item=inner, repeats=True)], []) == []
    assert found([question("g", "group", item=inner, repeats=True)], [item("g")]) == [
        ("QuestionnaireResponse.item[0]", "required")
    ]


def test_a_chain_of_conditions() -> None:
    definitions = [
        question("smokes", "boolean", required=True),
        question("often", "integer", required=True, enableWhen=[when("smokes", answerBoolean=True)]),
        question("why", required=True, enableWhen=[when("often", ">", answerInteger=10)]),
    ]
    smokes, often, why = item("smokes", YES), item("often", {"valueInteger": 20}), item("why", TEXT)
    assert found(definitions, [item("smokes", NO)]) == []
    assert found(definitions, [smokes]) == [("QuestionnaireResponse", "required")]
    assert found(definitions, [smokes, often]) == [("QuestionnaireResponse", "required")]
    assert found(definitions, [smokes, item("often", {"valueInteger": 10})]) == []
    assert found(definitions, [smokes, often, why]) == []


def test_answers_to_what_is_disabled_are_refused_and_enable_nothing() -> None:
    definitions = [
        question("smokes", "boolean"),
        question("often", "integer", enableWhen=[when("smokes", answerBoolean=True)]),
        question("why", required=True, enableWhen=[when("often", ">", answerInteger=10)]),
    ]
    answers = [item("smokes", NO), item("often", {"valueInteger": 20})]
    assert found(definitions, answers) == [("QuestionnaireResponse.item[1]", "business-rule")]


def test_what_stands_in_a_disabled_group_enables_nothing() -> None:
    definitions = [
        question("a", "boolean"),
        question("g", "group", enableWhen=[when("a", answerBoolean=True)], item=[question("b", "boolean")]),
        question("c", required=True, enableWhen=[when("b", answerBoolean=True)]),
    ]
    inside = item("g", items=[item("b", YES)])
    assert found(definitions, [item("a", YES), inside]) == [("QuestionnaireResponse", "required")]
    assert found(definitions, [item("a", NO), inside]) == [("QuestionnaireResponse.item[1]", "business-rule")]


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "applies"),
    [
        ("exists", {"answerBoolean": True}, TEXT, True),
        ("exists", {"answerBoolean": True}, None, False),
        ("exists", {"answerBoolean": False}, None, True),
        ("=", {"answerString": "x"}, TEXT, True),
        ("=", {"answerString": "y"}, TEXT, False),
        ("=", {"answerString": "x"}, None, False),
        ("!=", {"answerString": "x"}, TEXT, False),
        ("!=", {"answerString": "x"}, None, True),
        (">=", {"answerInteger": 3}, {"valueInteger": 3}, True),
        ("<", {"answerInteger": 3}, {"valueInteger": 3}, False),
        ("<=", {"answerDate": "2026-02-01"}, {"valueDate": "2026-01-31"}, True),
        (">", {"answerTime": "09:00:00"}, {"valueTime": "08:59:59"}, False),
        (
            ">",
            {"answerQuantity": {"value": Decimal(1), "code": "kg"}},
            {"valueQuantity": {"value": Decimal(2), "code": "g"}},
            False,
        ),
        ("=", {"answerCoding": {"system": "s", "code": "a"}}, {"valueCoding": {"system": "s", "code": "a"}}, True),
        ("=", {"answerCoding": {"system": "s", "code": "a"}}, {"valueCoding": {"system": "t", "code": "a"}}, False),
    ],
)
def test_operators(operator: str, wanted: Json, given: Json | None, applies: bool) -> None:
    kinds = {"valueInteger": "integer", "valueDate": "date", "valueTime": "time", "valueQuantity": "quantity"}
    kind = kinds.get(next(iter(given or {}), ""), "open-choice")
    definitions = [question("q", kind), question("r", required=True, enableWhen=[when("q", operator, **wanted)])]
    answers = [item("q", given)] if given else []
    assert (found(definitions, answers) == [("QuestionnaireResponse", "required")]) is applies


def test_all_and_any() -> None:
    conditions = [when("a", answerBoolean=True), when("b", answerBoolean=True)]
    base = [question("a", "boolean"), question("b", "boolean")]
    some = [item("a", YES), item("b", NO)]
    need_any = [*base, question("c", required=True, enableBehavior="any", enableWhen=conditions)]
    need_all = [*base, question("c", required=True, enableBehavior="all", enableWhen=conditions)]
    assert found(need_any, some) == [("QuestionnaireResponse", "required")]
    assert found(need_all, some) == []


def test_rows_of_a_repeating_group_do_not_see_one_another() -> None:
    row = [
        question("drug"),
        question("allergic", "boolean"),
        question("what", required=True, enableWhen=[when("allergic", answerBoolean=True)]),
    ]
    definitions = [question("row", "group", repeats=True, item=row)]
    rows = [item("row", items=[item("drug", TEXT), item("allergic", value)]) for value in (NO, YES)]
    assert found(definitions, rows) == [("QuestionnaireResponse.item[1]", "required")]


def test_items_below_an_answer() -> None:
    definitions = [
        question("a", "boolean", item=[question("b", required=True, enableWhen=[when("a", answerBoolean=True)])])
    ]
    assert found(definitions, [item("a", YES)]) == [("QuestionnaireResponse.item[0].answer[0]", "required")]
    assert found(definitions, [item("a", NO)]) == []
    assert found(definitions, [item("a", YES | {"item": [item("b", TEXT)]})]) == []
    assert ("QuestionnaireResponse.item[0].item", "structure") in found(
        definitions, [item("a", items=[item("b", TEXT)])]
    )


def test_a_circle_of_conditions_ends() -> None:
    definitions = [
        question("a", enableWhen=[when("b", "exists", answerBoolean=True)]),
        question("b", enableWhen=[when("a", "exists", answerBoolean=True)]),
    ]
    assert isinstance(found(definitions, [item("a", TEXT), item("b", TEXT)]), list)


def test_long_chains_and_many_rows_are_quick() -> None:
    number = 1500
    chain = [question("q0", "boolean")] + [
        question(f"q{n}", "boolean", enableWhen=[when(f"q{n - 1}", answerBoolean=True)]) for n in range(1, number)
    ]
    started = time.process_time()
    assert found(chain, [item(f"q{n}", YES) for n in range(number)]) == []
    assert found(list(reversed(chain)), [item(f"q{n}", YES) for n in range(number)]) == []
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("kind", "value", "right"),
    [
        ("boolean", {"valueBoolean": True}, True),
        ("boolean", {"valueString": "true"}, False),
        ("integer", {"valueDecimal": Decimal("1.5")}, False),
        ("url", {"valueUri": "https://a.example"}, True),
        ("open-choice", {"valueString": "other"}, True),
        ("choice", {"valueString": "other"}, False),
        ("attachment", {"valueAttachment": {"url": "x"}}, True),
        ("reference", {"valueReference": {"reference": "Patient/1"}}, True),
    ],
)
def test_types(kind: str, value: Json, right: bool) -> None:
    name = next(iter(value))
    wrong = [] if right else [(f"QuestionnaireResponse.item[0].answer[0].{name}", "value")]
    assert found([question("a", kind)], [item("a", value)]) == wrong


def test_options() -> None:
    coded = [{"valueCoding": {"system": "s", "code": "a", "display": "A"}}]
    place = "QuestionnaireResponse.item[0].answer[0]"
    choice, free = question("a", "choice", answerOption=coded), question("a", "open-choice", answerOption=coded)
    assert found([choice], [item("a", {"valueCoding": {"system": "s", "code": "a"}})]) == []
    assert found([choice], [item("a", {"valueCoding": {"system": "s", "code": "b"}})]) == [
        (f"{place}.valueCoding", "code-invalid")
    ]
    assert found([free], [item("a", {"valueCoding": {"code": "z"}})]) == [(f"{place}.valueCoding", "code-invalid")]
    assert found([free], [item("a", {"valueString": "z"})]) == []
    numbers = question("a", "choice", answerOption=[{"valueInteger": 1}, {"valueInteger": 2}])
    assert found([numbers], [item("a", {"valueInteger": 2})]) == []
    assert found([numbers], [item("a", {"valueInteger": 3})]) == [(f"{place}.valueInteger", "code-invalid")]


def test_bounds() -> None:
    place = "QuestionnaireResponse.item[0].answer[0]"
    age = question("a", "integer", extension=[{"url": MIN, "valueInteger": 0}, {"url": MAX, "valueInteger": 120}])
    assert found([age], [item("a", {"valueInteger": 120})]) == []
    assert found([age], [item("a", {"valueInteger": 121})]) == [(f"{place}.valueInteger", "business-rule")]
    assert found([age], [item("a", {"valueInteger": -1})]) == [(f"{place}.valueInteger", "business-rule")]
    short = question("a", maxLength=3)
    assert found([short], [item("a", {"valueString": "abcd"})]) == [(f"{place}.valueString", "too-long")]
    weight = question("a", "quantity", extension=[{"url": MAX, "valueQuantity": {"value": Decimal(300), "code": "kg"}}])
    assert found([weight], [item("a", {"valueQuantity": {"value": Decimal(70000), "code": "g"}})]) == [
        (f"{place}.valueQuantity", "value")
    ]


def test_repeats() -> None:
    twice = [item("a", TEXT, TEXT)]
    assert found([question("a")], twice) == [("QuestionnaireResponse.item[0].answer[1]", "business-rule")]
    assert found([question("a", repeats=True)], twice) == []
    assert found([question("a", repeats=True)], [item("a", TEXT), item("a", TEXT)]) == [
        ("QuestionnaireResponse.item[1]", "structure")
    ]
    groups = [item("g", items=[item("a", TEXT)])] * 2
    assert found([question("g", "group", item=[question("a")])], groups) == [
        ("QuestionnaireResponse.item[1]", "business-rule")
    ]


def test_unknown_and_misplaced_items() -> None:
    definitions = [question("g", "group", item=[question("a")]), question("d", "display")]
    assert found(definitions, [item("z", TEXT)]) == [("QuestionnaireResponse.item[0].linkId", "structure")]
    (issue,) = check({"item": definitions}, {"item": [item("a", TEXT)]})
    assert "elsewhere" in issue.text
    assert found(definitions, [item("d", TEXT)]) == [("QuestionnaireResponse.item[0]", "structure")]
    assert found(definitions, [item("g", TEXT)]) == [("QuestionnaireResponse.item[0].answer", "structure")]
    assert found(definitions, [item("d")]) == []


def test_an_answer_without_a_value() -> None:
    assert found([question("a", required=True)], [item("a", {"extension": []})]) == [
        ("QuestionnaireResponse.item[0].answer[0]", "required")
    ]
