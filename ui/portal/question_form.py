"""A posted form as the tree of its questions, with what is missing or wrong in it. Pure, but for the sentences."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from ui.portal import answer_fields
from ui.portal.answer_fields import NotAnAnswer, bound
from ui.portal.enable_when import compared
from ui.portal.question_tree import Answer, Node, child_name, root, value_of
from ui.texts import say

Json = Mapping[str, Any]
Options = Callable[[Json], Sequence[Answer]]
_MOST_ROWS, _MOST_ANSWERS = 20, 30
# Fields of answers and of numbers of rows; other fields of the form cannot be taken for them.
FIELD, ROWS = "a.", "rows."


def from_form(questionnaire: Json, form: MultiDict[str, str], options: Options, zone: ZoneInfo) -> Node:
    """The tree of what was posted. What is no answer stays as it was typed, with a sentence at its question.

    A form may also say that a row of a repeating group is wanted (`more`: the name of a row) or not (`less`)."""
    top = root(questionnaire)
    _read(top, form, options, zone)
    return top


def _read(node: Node, form: MultiDict[str, str], options: Options, zone: ZoneInfo) -> None:
    for number, definition in enumerate(node.definition.get("item", ())):
        if definition.get("type") == "group" and definition.get("repeats"):
            _read_rows(node, definition, number, form, options, zone)
            continue
        child = Node(definition, child_name(node, number), node)
        node.children.append(child)
        if child.is_question:
            _read_question(child, form, options, zone)
        _read(child, form, options, zone)


def _read_rows(
    node: Node, definition: Json, number: int, form: MultiDict[str, str], options: Options, zone: ZoneInfo
) -> None:
    """The rows of a repeating group: those of the page, and one more or less where that was asked for."""
    name = child_name(node, number)
    said = form.get(ROWS + name, "1")
    count = min(int(said), _MOST_ROWS) if said.isdecimal() else 1
    rows = [row for row in range(max(count, 1)) if form.get("less") != child_name(node, number, row)]
    for place, row in enumerate(rows):
        child = Node(definition, child_name(node, number, row), node, place)
        node.children.append(child)
        _read(child, form, options, zone)
        # After a row was taken out, those behind it move up.
        _rename(child, child.name, child_name(node, number, place))
    if form.get("more") == name and len(rows) < _MOST_ROWS or not rows:
        child = Node(definition, child_name(node, number, len(rows)), node, len(rows))
        node.children.append(child)
        _read(child, MultiDict(), options, zone)


def _rename(node: Node, old: str, new: str) -> None:
    if old != new:
        for each in node.walk():
            each.name = new + each.name[len(old) :]


def _read_question(node: Node, form: MultiDict[str, str], options: Options, zone: ZoneInfo) -> None:
    if node.read_only:
        node.answers = [dict(value) for each in node.definition.get("initial", ()) if (value := value_of(each))]
        return
    given = [text for text in form.getlist(FIELD + node.name) if text.strip()][:_MOST_ANSWERS]
    other = form.get(f"{FIELD}{node.name}.other", "").strip()
    if node.kind == "open-choice" and other:
        given = [*(given if node.repeats else []), other]
    allowed = options(node.definition)
    for text in given:
        try:
            answer = answer_fields.answer_of(node.definition, text, allowed, zone)
        except NotAnAnswer as error:
            node.typed = given
            node.answers = []
            node.errors.append(_takes(error.kind))
            return
        if answer not in node.answers:
            node.answers.append(answer)


def _takes(kind: str) -> str:
    return {
        "integer": say("Enter a whole number, for example 12."),
        "decimal": say("Enter a number, for example 12.5."),
        "date": say("Enter a date."),
        "dateTime": say("Enter a date and a time."),
        "time": say("Enter a time, for example 09:30."),
        "url": say("Enter an address that begins with https://"),
        "text": say("Some of these characters cannot be kept."),
    }.get(kind, say("Choose one of the answers."))


# -- what is missing or wrong ------------------------------------------------------------------------------------------


def check(top: Node, applies: Mapping[str, bool]) -> None:
    """Put a sentence at each question that has to be answered and is not, or whose answer is out of its bounds: the
    server's own rules, asked before the answers are sent so that every sentence stands where it belongs."""
    for node in top.walk():
        if not applies.get(node.name, True) or node.errors:
            continue
        if node.is_question:
            _check_question(node)
        elif node.required and node.row in (None, 0) and not _is_answered(node):
            node.errors.append(say("Answer at least one of these questions."))


def _check_question(node: Node) -> None:
    if node.required and not node.answers:
        node.errors.append(say("Please answer this question."))
        return
    least, most = bound(node.definition, "minValue"), bound(node.definition, "maxValue")
    longest, shortest = node.longest, bound(node.definition, "minLength")
    for answer in node.answers:
        for name, value in answer.items():
            below = least is not None and compared(name[5:], value, least) == -1
            above = most is not None and compared(name[5:], value, most) == 1
            if below or above:
                node.errors.append(bounds(least, most))
                return
            if isinstance(value, str) and longest is not None and len(value) > longest:
                node.errors.append(say("At most %(most)s characters.", most=longest))
                return
            if isinstance(value, str) and shortest is not None and len(value) < shortest:
                node.errors.append(say("At least %(least)s characters.", least=shortest))
                return


def bounds(least: Any, most: Any) -> str:
    """In which bounds a value has to be, as a sentence; "" where there are none."""
    low, high = (each.get("value") if isinstance(each, Mapping) else each for each in (least, most))
    if low is not None and high is not None:
        return say("Between %(low)s and %(high)s.", low=low, high=high)
    if low is not None:
        return say("At least %(low)s.", low=low)
    return say("At most %(high)s.", high=high) if high is not None else ""


def _is_answered(node: Node) -> bool:
    return any(each.answers for each in node.walk())


def place(top: Node, places: Mapping[str, Node], issues: Sequence[Json]) -> list[str]:
    """Put what the server says about the answers at the questions that it names; what names none is given back."""
    left = []
    for issue in issues:
        path = next(iter(issue.get("expression", ())), "")
        said = {
            "required": say("Please answer this question."),
            "too-long": say("This answer is too long."),
            "code-invalid": say("Choose one of the answers."),
        }.get(str(issue.get("code")), say("This answer is not accepted. Please change it."))
        while path and path not in places:
            path = path.rpartition(".")[0]
        node = places.get(path)
        if node is None or node is top:
            left.append(said)
        elif said not in node.errors:
            node.errors.append(said)
    return left
