"""A Questionnaire with its answers as a tree of what a page shows, one node for each place in which something can be
answered. Pure.

A node's `name` is the field in the form: the positions of the items from the outermost one inward, with the row of a
group that repeats (`0.2~1.0`), because linkIds may hold any character.
https://hl7.org/fhir/R4/questionnaire.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

# Values of FHIR: each {"valueInteger": 3}.
Answer = dict[str, Any]
_MOST_ROWS = 20


@dataclass(slots=True)
class Node:
    """An item in its place. `answers`: what is answered to a question, as FHIR; `typed`: what stood in its fields where
    that was no answer; `row`: which row of a group that repeats; `errors`: sentences to show at it."""

    definition: Json
    name: str
    parent: Node | None
    row: int | None = None
    answers: list[Answer] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def link(self) -> str:
        """The linkId."""
        return str(self.definition.get("linkId", ""))

    @property
    def kind(self) -> str:
        """Questionnaire.item.type."""
        return str(self.definition.get("type", "string"))

    @property
    def is_question(self) -> bool:
        """Whether it takes answers itself."""
        return self.kind not in ("group", "display")

    @property
    def repeats(self) -> bool:
        """Whether it takes several answers, or the group several rows."""
        return bool(self.definition.get("repeats"))

    @property
    def required(self) -> bool:
        """Whether it has to be answered where it applies."""
        return bool(self.definition.get("required"))

    @property
    def read_only(self) -> bool:
        """Whether it is only shown."""
        return bool(self.definition.get("readOnly"))

    @property
    def longest(self) -> int | None:
        """How many characters an answer may have."""
        return self.definition.get("maxLength")

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the page."""
        yield self
        for child in self.children:
            yield from child.walk()

    def rows(self) -> list[Node]:
        """The rows of the group that repeats of which this is one, itself included."""
        around = self.parent.children if self.parent else [self]
        return [each for each in around if each.definition is self.definition]


def root(questionnaire: Json) -> Node:
    """The node around everything, without children yet."""
    return Node({"linkId": "", "type": "group", "item": questionnaire.get("item", ())}, "", None)


def from_response(questionnaire: Json, response: Json | None) -> Node:
    """The tree of a stored response, or without one of an empty form with its initial values."""
    top = root(questionnaire)
    _fill(top, None if response is None else response.get("item", ()), fresh=response is None)
    return top


def _fill(node: Node, items: Sequence[Json] | None, *, fresh: bool) -> None:
    """Make the children of a node. `items`: the stored ones below it; `fresh`: initial values are to be shown."""
    for number, definition in enumerate(node.definition.get("item", ())):
        mine = [item for item in items or () if item.get("linkId") == definition.get("linkId")]
        if definition.get("type") == "group" and definition.get("repeats"):
            for row in range(min(max(len(mine), 1), _MOST_ROWS)):
                child = _child(node, definition, number, row)
                _fill(child, mine[row].get("item", ()) if row < len(mine) else None, fresh=fresh)
            continue
        child = _child(node, definition, number)
        below: list[Json] = []
        if child.is_question:
            child.answers = [value for item in mine for each in item.get("answer", ()) if (value := value_of(each))]
            below = [inner for item in mine for each in item.get("answer", ()) for inner in each.get("item", ())]
            if fresh and not child.answers:
                child.answers = _initial(definition)
        else:
            below = [inner for item in mine for inner in item.get("item", ())]
        _fill(child, below, fresh=fresh)


def _child(node: Node, definition: Json, number: int, row: int | None = None) -> Node:
    child = Node(definition, child_name(node, number, row), node, row)
    node.children.append(child)
    return child


def child_name(node: Node, number: int, row: int | None = None) -> str:
    """The field name of the item at this position below a node."""
    own = f"{number}" if row is None else f"{number}~{row}"
    return f"{node.name}.{own}" if node.name else own


def _initial(definition: Json) -> list[Answer]:
    given = [value for each in definition.get("initial", ()) if (value := value_of(each))]
    chosen = [value for each in definition.get("answerOption", ()) if each.get("initialSelected")
              if (value := value_of(each))]  # fmt: skip
    return given or chosen


def value_of(element: Json) -> Answer:
    """The value[x] of an answer or option alone; {} without one."""
    return {name: value for name, value in element.items() if name.startswith("value") and name[5:6].isupper()}


# -- as a resource -----------------------------------------------------------------------------------------------------


def items_of(node: Node, applies: Mapping[str, bool], *, all: bool = False) -> list[dict[str, Any]]:
    """`QuestionnaireResponse.item` below a node: what is answered and applies (by field name), or (`all`) whatever is
    answered, as a draft keeps it."""
    found = []
    for child in node.children:
        if not all and not applies.get(child.name, True):
            continue
        inner = items_of(child, applies, all=all)
        if child.is_question:
            if not child.answers:
                continue
            answers = [dict(each) for each in child.answers]
            if inner:
                answers[0]["item"] = inner
            found.append({"linkId": child.link, "answer": answers})
        elif inner:
            found.append({"linkId": child.link, "item": inner})
    return found


def places_of(node: Node, applies: Mapping[str, bool], path: str = "QuestionnaireResponse") -> dict[str, Node]:
    """The node that each element path of the response of `items_of` is about, as issues name it."""
    found = {path: node}
    index = 0
    for child in node.children:
        if not applies.get(child.name, True) or not _stands(child, applies):
            continue
        here = f"{path}.item[{index}]"
        index += 1
        if child.is_question:
            found[here] = child
            found |= {f"{here}.answer[{number}]": child for number in range(len(child.answers))}
            found |= {name: each for name, each in places_of(child, applies, f"{here}.answer[0]").items()
                      if name != f"{here}.answer[0]"}  # fmt: skip
        else:
            found |= places_of(child, applies, here)
    return found


def _stands(child: Node, applies: Mapping[str, bool]) -> bool:
    if child.is_question:
        return bool(child.answers)
    return any(applies.get(each.name, True) and _stands(each, applies) for each in child.children)
