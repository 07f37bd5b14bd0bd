"""Questionnaires: which items apply, what is missing, drafts, rows, and that the server's rules have the last word."""

import json
import re
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from werkzeug.datastructures import MultiDict

from fhir_server.validation.questionnaires import answers
from tests.ui.conftest import Demo
from tests.ui.portal.people import HTML, booked, patient
from ui.portal import enable_when, question_form, question_tree
from ui.portal.answer_fields import NotAnAnswer, answer_of

Json = dict[str, Any]
UTC = ZoneInfo("UTC")
YES = {"question": "smokes", "operator": "=", "answerBoolean": True}


def asked(*items: Json) -> Json:
    return {"resourceType": "Questionnaire", "status": "active", "item": list(items)}


SMOKES = {"linkId": "smokes", "type": "boolean"}
COUNT = {"linkId": "count", "type": "integer"}
COLOUR = {
    "linkId": "colour",
    "type": "choice",
    "repeats": True,
    "answerOption": [{"valueCoding": {"system": "s", "code": c}} for c in "rgb"],
}


def depends(*conditions: Json, behavior: str | None = None) -> Json:
    more = {"enableBehavior": behavior} if behavior else {}
    return {"linkId": "why", "type": "string", "enableWhen": list(conditions), **more}


def when(question: str, operator: str, **answer: Any) -> Json:
    return {"question": question, "operator": operator, **answer}


RED = {"system": "s", "code": "r"}
# (condition item, what is posted, whether it applies)
ENABLE: list[tuple[Json, dict[str, Any], bool]] = [
    (depends(YES), {}, False),
    (depends(YES), {"a.0": "true"}, True),
    (depends(YES), {"a.0": "false"}, False),
    (depends(when("smokes", "exists", answerBoolean=True)), {"a.0": "false"}, True),
    (depends(when("smokes", "exists", answerBoolean=False)), {}, True),
    (depends(when("smokes", "exists", answerBoolean=False)), {"a.0": "true"}, False),
    (depends(when("count", ">", answerInteger=5)), {"a.1": "5"}, False),
    (depends(when("count", ">=", answerInteger=5)), {"a.1": "5"}, True),
    (depends(when("count", "<", answerInteger=5)), {"a.1": "٤"}, True),
    (depends(when("count", "<=", answerInteger=5)), {"a.1": "6"}, False),
    (depends(when("count", "!=", answerInteger=5)), {"a.1": "5"}, False),
    (depends(when("count", "!=", answerInteger=5)), {"a.1": "4"}, True),
    (depends(when("colour", "=", answerCoding=RED)), {"a.2": ["s|g", "s|r"]}, True),
    (depends(when("colour", "!=", answerCoding=RED)), {"a.2": ["s|g", "s|r"]}, False),
    (depends(YES, when("count", ">", answerInteger=5), behavior="all"), {"a.0": "true"}, False),
    (depends(YES, when("count", ">", answerInteger=5), behavior="all"), {"a.0": "true", "a.1": "6"}, True),
    (depends(YES, when("count", ">", answerInteger=5), behavior="any"), {"a.1": "6"}, True),
    (depends(when("nobody", "=", answerBoolean=True)), {"a.0": "true"}, False),
    (depends(when("why", "exists", answerBoolean=True)), {}, False),
]


def tree(questionnaire: Json, form: dict[str, Any]) -> question_tree.Node:
    def options(definition: Any) -> list[Json]:
        return [question_tree.value_of(each) for each in definition.get("answerOption", ())]

    return question_form.from_form(questionnaire, MultiDict(form), options, UTC)


@pytest.mark.parametrize(("item", "form", "applies"), ENABLE)
def test_an_item_applies_when_its_conditions_hold(item: Json, form: dict[str, Any], applies: bool) -> None:
    questionnaire = asked(SMOKES, COUNT, COLOUR, item)
    top = tree(questionnaire, form)
    assert enable_when.applies(top)["3"] is applies


@pytest.mark.parametrize(("item", "form", "applies"), ENABLE)
def test_the_server_is_of_the_same_mind(item: Json, form: dict[str, Any], applies: bool) -> None:
    """An answer where the page hides the question is refused, and a required one where it shows it is missed."""
    if item["enableWhen"][0]["question"] == "why":
        pytest.skip("a circle")
    questionnaire = asked(SMOKES, COUNT, COLOUR, {**item, "required": True})
    top = tree(questionnaire, form)
    items = question_tree.items_of(top, enable_when.applies(top))
    issues = answers.check(
        questionnaire, {"resourceType": "QuestionnaireResponse", "status": "completed", "item": items}
    )
    assert [each.code for each in issues] == (["required"] if applies else [])


def test_what_stands_in_what_does_not_apply_does_not_count() -> None:
    outer = {"linkId": "g", "type": "group", "enableWhen": [YES], "item": [COUNT]}
    top = tree(
        asked(SMOKES, outer, depends(when("count", "exists", answerBoolean=True))), {"a.0": "false", "a.1.0": "3"}
    )
    found = enable_when.applies(top)
    assert not found["1"] and not found["1.0"] and not found["2"]
    assert question_tree.items_of(top, found) == [{"linkId": "smokes", "answer": [{"valueBoolean": False}]}]
    # A draft keeps it: the answer may become yes again.
    assert len(question_tree.items_of(top, found, all=True)) == 2


def test_the_rows_of_a_repeating_group_do_not_see_one_another() -> None:
    group = {"linkId": "g", "type": "group", "repeats": True, "item": [SMOKES, depends(YES)]}
    top = tree(asked(group), {"rows.0": "2", "a.0~0.0": "true", "a.0~1.0": "false"})
    found = enable_when.applies(top)
    assert found["0~0.1"] and not found["0~1.1"]


@pytest.mark.parametrize("conditions", [20, 300])
def test_circles_and_chains_end(conditions: int) -> None:
    circle = [
        {
            "linkId": str(n),
            "type": "string",
            "enableWhen": [when(str(m), "exists", answerBoolean=True) for m in range(20)],
        }
        for n in range(20)
    ]
    chain = [
        {"linkId": str(n), "type": "string", "enableWhen": [when(str(n + 1), "exists", answerBoolean=True)]}
        for n in range(conditions)
    ]
    for items in (circle, chain):
        assert len(enable_when.applies(tree(asked(*items), {}))) == len(items) + 1


@pytest.mark.parametrize(("kind", "text", "value"), [
    ("integer", " ٣٤ ", {"valueInteger": 34}), ("integer", "-0", {"valueInteger": 0}), ("decimal", "12,5", {"valueDecimal": "12.5"}),
    ("date", "2026-02-28", {"valueDate": "2026-02-28"}), ("time", "9:30", None), ("time", "09:30", {"valueTime": "09:30:00"}),
    ("dateTime", "2026-02-28T10:00", {"valueDateTime": "2026-02-28T10:00:00+00:00"}), ("boolean", "true", {"valueBoolean": True}),
    ("boolean", "maybe", None), ("integer", "12.5", None), ("integer", "99999999999", None), ("integer", "1e3", None), ("decimal", "NaN", None),
    ("decimal", "1" * 40, None), ("date", "2026-02-30", None), ("date", "28/02/2026", None), ("string", "a\0b", None), ("url", "javascript", None),
    ("choice", "x", None), ("reference", "Patient/1", None), ("text", " x ", {"valueString": "x"}),
])  # fmt: skip
def test_what_a_field_means(kind: str, text: str, value: Json | None) -> None:
    try:
        found = {
            name: str(each) if kind == "decimal" else each
            for name, each in answer_of({"type": kind}, text, (), UTC).items()
        }
    except NotAnAnswer:
        found = None  # type: ignore[assignment]
    assert found == value


# -- on the page -------------------------------------------------------------------------------------------------------

FORM: Json = {
    "resourceType": "Questionnaire", "status": "active", "title": f"Avant la visite {HTML}", "url": "https://tests.example/q",
    "item": [
        {"linkId": "intro", "type": "display", "text": "Merci."},
        {"linkId": "smokes", "type": "boolean", "text": "Fumez-vous ?", "required": True},
        {"linkId": "per-day", "type": "integer", "text": "Combien par jour ?", "required": True, "enableWhen": [YES],
         "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/maxValue", "valueInteger": 100}]},
        {"linkId": "pain", "type": "choice", "text": "Douleur", "answerOption": [{"valueCoding": {"code": "none", "display": "Aucune"}}, {"valueCoding": {"code": "much", "display": "Forte"}}]},
        {"linkId": "drugs", "type": "group", "text": "Médicament", "repeats": True, "item": [
            {"linkId": "drug", "type": "string", "text": "Nom", "maxLength": 20}, {"linkId": "since", "type": "date", "text": "Depuis"}]},
        {"linkId": "where", "type": "open-choice", "text": "Où ?", "answerOption": [{"valueString": "Tête"}]},
        {"linkId": "note", "type": "text", "text": "Remarques", "_text": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/translation",
         "extension": [{"url": "lang", "valueCode": "ar"}, {"url": "content", "valueString": "ملاحظات"}]}]}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def form(clinic: Demo) -> str:
    made: str = clinic.client().create(FORM)["id"]
    return f"portal/questions/{made}"


def responses(clinic: Demo, who: str) -> list[Json]:
    return clinic.client().search(f"QuestionnaireResponse?subject={who}")


def test_every_question_has_a_label_and_markup_is_text(clinic: Demo, form: str) -> None:
    text = patient(clinic).person.get(form).text
    assert HTML not in text
    for id_ in ("q-2", "q-4_0-0", "q-4_0-1", "q-6"):
        assert f'for="{id_}"' in text and f'id="{id_}"' in text
    assert re.search(r'data-node="2" hidden', text)
    given = re.search(r'data-when="([^"]+)" data-node="2"', text)
    assert given and json.loads(unescape(given[1])) == {"all": False, "when": [[["1"], "=", "Boolean", "true"]]}


def test_translated_questions_are_asked_in_the_persons_language(clinic: Demo, form: str) -> None:
    person = patient(clinic).person
    assert "ملاحظات" in person.get(form, lang="ar").text and "ملاحظات" not in person.get(form, lang="es").text


def test_answers_are_completed(clinic: Demo, form: str) -> None:
    known = patient(clinic)
    answer = known.person.post(form, {
        "act": "send", "a.1": "true", "a.2": "12", "a.3": "|much", "rows.4": "2", "a.4~0.0": "Metformine", "a.4~1.0": "Aspirine",
        "a.4~1.1": "2024-01-01", "a.5.other": "Dos",
    })  # fmt: skip
    assert answer.status_code == 303, answer.text
    found = responses(clinic, known.reference)
    assert [each["status"] for each in found] == ["completed"]
    assert [item["linkId"] for item in found[0]["item"]] == ["smokes", "per-day", "pain", "drugs", "drugs", "where"]
    assert found[0]["item"][5]["answer"] == [{"valueString": "Dos"}]


@pytest.mark.parametrize(("given", "sentence", "field"), [
    ({}, "Merci de répondre à cette question.", "q-1"),
    ({"a.1": "true"}, "Merci de répondre à cette question.", "q-2"),
    ({"a.1": "true", "a.2": "douze"}, "Indiquez un nombre entier", "q-2"),
    ({"a.1": "true", "a.2": "101"}, "Au plus 100.", "q-2"),
    ({"a.1": "false", "a.4~0.0": "x" * 21}, "20 caractères au plus.", "q-4_0-0"),
    ({"a.1": "false", "a.4~0.1": "hier"}, "Indiquez une date.", "q-4_0-1"),
    ({"a.1": "false", "a.3": "|unknown"}, "Choisissez une des réponses.", "q-3"),
])  # fmt: skip
def test_what_is_wrong_stands_at_its_question(
    clinic: Demo, form: str, given: dict[str, str], sentence: str, field: str
) -> None:
    known = patient(clinic)
    answer = known.person.post(form, {"act": "send", "a.6": "gardé", **given})
    assert answer.status_code == 422 and responses(clinic, known.reference) == []
    assert re.search(rf'id="{field}-error">.*{re.escape(sentence)}', answer.text) and f'href="#{field}"' in answer.text
    assert 'aria-invalid="true"' in answer.text and "gardé" in answer.text
    # What was typed is still there; of choices only those that exist.
    for value in (each for each in given.values() if each != "|unknown"):
        assert value in unescape(answer.text)


def test_what_does_not_apply_is_not_sent_and_not_missed(clinic: Demo, form: str) -> None:
    known = patient(clinic)
    assert known.person.post(form, {"act": "send", "a.1": "false", "a.2": "12"}).status_code == 303
    assert [item["linkId"] for item in responses(clinic, known.reference)[0]["item"]] == ["smokes"]


def test_a_draft_is_kept_gone_on_with_and_completed_as_one_resource(clinic: Demo, form: str) -> None:
    known = patient(clinic)
    assert known.person.post(f"{form}/draft", {"a.1": "true", "a.6": "moitié"}).status_code == 200
    assert known.person.post(form, {"act": "keep", "a.1": "true", "a.6": "plus"}).status_code == 303
    found = responses(clinic, known.reference)
    assert [each["status"] for each in found] == ["in-progress"]
    assert ">plus</textarea>" in known.person.get(form).text
    assert known.person.post(form, {"act": "send", "a.1": "false"}).status_code == 303
    found = responses(clinic, known.reference)
    assert [each["status"] for each in found] == ["completed"]


def test_rows_are_added_and_taken_out_without_scripts(clinic: Demo, form: str) -> None:
    person = patient(clinic).person
    more = person.post(form, {"more": "4", "rows.4": "1", "a.4~0.0": "Un"}).text
    assert 'name="rows.4" value="2"' in more and 'value="Un"' in more
    less = person.post(form, {"less": "4~0", "rows.4": "2", "a.4~0.0": "Un", "a.4~1.0": "Deux"}).text
    assert (
        'name="rows.4" value="1"' in less
        and 'name="a.4~0.0" type="text" value="Deux"' in less
        and 'value="Un"' not in less
    )


@pytest.mark.parametrize("rows", ["9" * 30, "-1", "x", "", "²"])
def test_a_made_up_number_of_rows_harms_nobody(clinic: Demo, form: str, rows: str) -> None:
    answer = patient(clinic).person.post(form, {"act": "send", "a.1": "false", "rows.4": rows})
    assert answer.status_code == 303


def test_the_form_of_a_visit_is_asked_for_and_books_it(clinic: Demo) -> None:
    known = patient(clinic)
    visit = booked(clinic.client(), known.reference, practitioner="Practitioner/demo-cherkaoui")
    assert visit["status"] == "pending"
    home = known.person.get("portal/").text
    link = re.search(r"portal/questions/demo-diabetes-visit\?visit=[\w-]+", home)
    assert link and "Avant votre visite" in home
    page = known.person.get(link[0]).text
    required = re.findall(r'name="(a\.[\d.]+)"', page)
    assert required
    known.person.post("portal/questions/demo-diabetes-visit/draft", {"visit": visit["id"], required[0]: ""})
    assert "Commencé" in known.person.get("portal/").text


def test_another_patients_visit_is_not_asked_about(clinic: Demo, form: str) -> None:
    visit = booked(clinic.client(), patient(clinic).reference)
    known = patient(clinic)
    assert known.person.get(f"{form}?visit={visit['id']}").status_code == 404
    assert known.person.post(form, {"visit": visit["id"], "act": "keep"}).status_code == 404


def test_there_is_no_questionnaire_of_any_name(clinic: Demo) -> None:
    assert patient(clinic).person.get("portal/questions/none").status_code == 404


def test_what_the_server_refuses_is_placed_at_the_question() -> None:
    top = tree(asked(SMOKES, {"linkId": "g", "type": "group", "item": [COUNT]}), {"a.0": "true", "a.1.0": "3"})
    places = question_tree.places_of(top, enable_when.applies(top))
    assert places["QuestionnaireResponse.item[1].item[0].answer[0]"].link == "count"
    assert places["QuestionnaireResponse.item[0]"].link == "smokes"
