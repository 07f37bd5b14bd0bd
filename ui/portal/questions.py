"""Questionnaires: asked on a page that works without scripts, kept as drafts, sent when they are complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from ui import fhir, formats, page
from ui.fhir import Refused, Resource
from ui.portal import answer_fields, enable_when, preparations, question_form, question_tree, visits, whose
from ui.portal.answer_fields import local_text, option_text
from ui.portal.place import bp
from ui.portal.question_form import FIELD
from ui.portal.question_tree import Answer, Node
from ui.portal.shown import shown
from ui.texts import language, say

_EXPANDED = 200
_INPUTS = {"integer": "text", "decimal": "text", "quantity": "text", "date": "date", "dateTime": "datetime-local",
           "time": "time", "url": "url"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A node as the template shows it. `options`: (value, text, chosen); `values`: what stands in its fields."""

    node: Node
    text: str
    prefix: str
    hint: str
    widget: str
    options: Sequence[tuple[str, str, bool]]
    values: Sequence[str]
    other: str
    applies: bool
    conditions: Mapping[str, Any] | None
    children: Sequence["Shown"]
    rows: str
    last_row: bool

    @property
    def field(self) -> str:
        """The name of its fields."""
        return FIELD + self.node.name

    @property
    def id(self) -> str:
        """The id of its first field: no dots and tildes, which selectors would have to escape."""
        return "q-" + self.node.name.replace(".", "-").replace("~", "_")

    @property
    def input_type(self) -> str:
        """The type of its input."""
        return _INPUTS.get(self.node.kind, "text")

    @property
    def is_number(self) -> bool:
        """Whether a phone should show digits."""
        return self.node.kind in ("integer", "decimal", "quantity")


@bp.get("/questions/<id_>")
def questionnaire(slug: str, id_: str) -> ResponseReturnValue:
    """The questions, with what was answered before. `visit`: id of the appointment they are for."""
    asked, visit = _asked(id_)
    draft = preparations.draft(asked, visit.id if visit else None)
    top = question_tree.from_response(asked, draft)
    return _shown(asked, visit, top, saved=(draft or {}).get("meta", {}).get("lastUpdated", ""))


@bp.post("/questions/<id_>")
def answer(slug: str, id_: str) -> ResponseReturnValue:
    """Send the answers; or keep them as a draft (`act=keep`), or show one row more or less of a group."""
    asked, visit = _asked(id_)
    top = question_form.from_form(asked, request.form, _options, page.zone())
    applies = enable_when.applies(top)
    if request.form.get("more") or request.form.get("less"):
        return _shown(asked, visit, top)
    if request.form.get("act") == "keep":
        _store(asked, visit, question_tree.items_of(top, applies, all=True), "in-progress")
        return page.see_other(_back(slug, visit, "kept"))
    question_form.check(top, applies)
    if any(node.errors for node in top.walk() if applies.get(node.name, True)):
        return _shown(asked, visit, top, status=422)
    try:
        _store(asked, visit, question_tree.items_of(top, applies), "completed")
    except Refused as error:
        if error.status not in (400, 422):
            raise
        general = question_form.place(top, question_tree.places_of(top, applies), error.issues)
        return _shown(asked, visit, top, status=422, general=general)
    return page.see_other(_back(slug, visit, "answered"))


@bp.post("/questions/<id_>/draft")
def keep(slug: str, id_: str) -> ResponseReturnValue:
    """Keep what stands in the form, as the page does by itself while somebody types: when it was kept (text)."""
    asked, visit = _asked(id_)
    top = question_form.from_form(asked, request.form, _options, page.zone())
    _store(asked, visit, question_tree.items_of(top, enable_when.applies(top), all=True), "in-progress")
    return Response(say("Kept at %(time)s", time=formats.time(page.now())), content_type="text/plain; charset=utf-8")


def _asked(id_: str) -> tuple[Resource, visits.Visit | None]:
    asked = fhir.read(f"Questionnaire/{id_}")
    named = request.values.get("visit", "")
    return asked, visits.read(named) if named else None


def _back(slug: str, visit: visits.Visit | None, done: str) -> str:
    where = f"visits/{visit.id}" if visit else ""
    return f"/t/{slug}/ui/portal/{where}?done={done}"


def _store(asked: Resource, visit: visits.Visit | None, items: Sequence[Resource], status: str) -> None:
    """Write the answers over their draft, or as new ones. Raises `Refused`."""
    draft = preparations.draft(asked, visit.id if visit else None)
    response: Resource = {
        "resourceType": "QuestionnaireResponse", "status": status, "questionnaire": preparations.canonical(asked),
        "subject": {"reference": whose.patient()}, "authored": page.now().isoformat(timespec="seconds"),
        "source": {"reference": page.me().user.fhir_user or whose.patient()},
    }  # fmt: skip
    if items:
        response["item"] = list(items)
    if visit is not None:
        reference = {"reference": f"Appointment/{visit.id}"}
        response["extension"] = [{"url": preparations.RESPONSE_APPOINTMENT, "valueReference": reference}]
    if labels := asked.get("meta", {}).get("security"):
        response["meta"] = {"security": labels}
    if draft is None:
        fhir.create(response)
    else:
        fhir.update({**response, "id": draft["id"]})


# -- the page ----------------------------------------------------------------------------------------------------------


def _shown(
    asked: Resource, visit: visits.Visit | None, top: Node, *, saved: str = "", status: int = 200,
    general: Sequence[str] = (),
) -> Response:  # fmt: skip
    applies = enable_when.applies(top)
    wrong = [(node, local_text(node.definition, "text", language())) for node in top.walk()
             if node.errors and applies.get(node.name, True)]  # fmt: skip
    return shown(
        "questionnaire.html", status=status, asked=asked, visit=visit, saved=saved, general=general,
        title=local_text(asked, "title", language()) or say("Questions before your visit"),
        intro=local_text(asked, "description", language()) if asked.get("description") else "",
        items=[_view(child, applies) for child in top.children],
        wrong=[("q-" + node.name.replace(".", "-").replace("~", "_"), text, node.errors[0]) for node, text in wrong],
    )  # fmt: skip


def _view(node: Node, applies: Mapping[str, bool]) -> Shown:
    options = _options(node.definition) if node.is_question else ()
    typed = answer_fields.typed_of(node, page.zone())
    known = {enable_when.token_of(each) for each in options}
    unit = answer_fields.unit_of(node.definition)
    limits = question_form.bounds(*(answer_fields.bound(node.definition, name) for name in ("minValue", "maxValue")))
    base, _, row = node.name.rpartition("~") if node.row is not None else ("", "", "")
    return Shown(
        node=node, text=local_text(node.definition, "text", language()), prefix=str(node.definition.get("prefix", "")),
        hint=" ".join(filter(None, (str(unit.get("display") or unit.get("code", "")), limits))),
        widget=answer_fields.widget(node, options) if node.is_question else node.kind,
        options=[(token, option_text(each, language()), token in typed) for each in options
                 for token in [enable_when.token_of(each)]],
        values=typed, other=next((each for each in typed if each not in known), "") if options else "",
        applies=applies.get(node.name, True), conditions=enable_when.conditions_for_page(node),
        children=[_view(child, applies) for child in node.children],
        rows=base, last_row=row.isdecimal() and int(row) == len(node.rows()) - 1,
    )  # fmt: skip


def _options(definition: Mapping[str, Any]) -> Sequence[Answer]:
    """What a question can be answered with, where that is fixed."""
    given = [value for each in definition.get("answerOption", ()) if (value := question_tree.value_of(each))]
    if given or not definition.get("answerValueSet"):
        return given
    known: dict[str, Sequence[Answer]] = g.setdefault("portal_value_sets", {})
    url = str(definition["answerValueSet"])
    if url not in known:
        known[url] = _expanded(url)
    return known[url]


def _expanded(url: str) -> Sequence[Answer]:
    """The codes of a value set; () where the server does not know it, or it is too large to choose from."""
    try:
        found = fhir.call("ValueSet/$expand", {"url": url, "count": _EXPANDED + 1}, method="GET")
    except Refused:
        return ()
    codes = found.get("expansion", {}).get("contains", ())
    if len(codes) > _EXPANDED:
        return ()
    return [{"valueCoding": {name: each[name] for name in ("system", "code", "display") if name in each}}
            for each in codes if "code" in each]  # fmt: skip
