"""Which items of a form apply, given the other answers: enableWhen and enableBehavior. Pure.

The page's own script (questionnaire.js) follows the same rules while somebody types; what counts is decided here and,
when the answers are sent, by the server.
https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ui.portal.question_tree import Answer, Node, value_of

Json = Mapping[str, Any]
# A condition may name a question that itself depends on another, and so on: what lies deeper is asked for.
_DEEPEST = 60
_SIGNS = {">": (1,), ">=": (1, 0), "<": (-1,), "<=": (-1, 0)}


def applies(top: Node) -> dict[str, bool]:
    """By field name, whether each node applies: its own conditions hold, and those of everything around it."""
    known: dict[str, bool] = {}
    for node in top.walk():
        _enabled(node, known)
    return known


def nearest(node: Node, link: str) -> list[Node]:
    """The questions of a linkId to which a condition of `node` refers: those in the nearest element around it that
    holds any, so that the rows of a repeating group do not see one another."""
    around = node.parent
    while around is not None:
        found = [each for each in around.walk() if each.link == link and each is not around]
        if found:
            return found
        around = around.parent
    return []


def _enabled(node: Node, known: dict[str, bool], depth: int = 0) -> bool:
    if node.name in known or depth > _DEEPEST:
        return known.get(node.name, True)
    # Seen while it is being decided, in a circle: that decides nothing, and an item is rather asked for than lost.
    known[node.name] = True
    result = node.parent is None or _enabled(node.parent, known, depth + 1)
    conditions = node.definition.get("enableWhen", ())
    if result and conditions:
        met = [_met(node, condition, known, depth) for condition in conditions]
        result = all(met) if node.definition.get("enableBehavior") == "all" else any(met)
    known[node.name] = result
    return result


def _met(node: Node, condition: Json, known: dict[str, bool], depth: int) -> bool:
    asked = nearest(node, str(condition.get("question", "")))
    answers = [answer for each in asked if _enabled(each, known, depth + 1) for answer in each.answers]
    name, wanted = wanted_of(condition)
    operator = str(condition.get("operator", ""))
    if operator == "exists":
        return bool(answers) is wanted
    values = [given["value" + name] for given in answers if "value" + name in given]
    if operator in ("=", "!="):
        same = any(equal(name, value, wanted) for value in values)
        return same if operator == "=" else not same
    return any(compared(name, value, wanted) in _SIGNS.get(operator, ()) for value in values)


def wanted_of(condition: Json) -> tuple[str, Any]:
    """(type with a capital, value) of a condition's answer[x]."""
    for name, value in condition.items():
        if name.startswith("answer") and name[6:7].isupper():
            return name[6:], value
    return "", None


def equal(name: str, one: Any, other: Any) -> bool:
    """Whether two values of one type are the same answer."""
    if name == "Coding":
        return (one.get("system"), one.get("code")) == (other.get("system"), other.get("code"))
    if name == "Reference":
        return bool(one.get("reference")) and one.get("reference") == other.get("reference")
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    order = compared(name, one, other)
    return bool(one == other) if order is None else order == 0


def compared(name: str, one: Any, other: Any) -> int | None:
    """-1, 0 or 1; None where values of this type have no order."""
    if name in ("Integer", "Decimal"):
        left, right = Decimal(str(one)), Decimal(str(other))
        return (left > right) - (left < right)
    if name in ("Date", "DateTime", "Time"):
        # The shorter one says the precision at which they can be compared.
        length = min(len(str(one)), len(str(other)))
        a, b = str(one)[:length], str(other)[:length]
        return (a > b) - (a < b)
    if name == "Quantity":
        unit = [(each.get("system"), each.get("code") or each.get("unit")) for each in (one, other)]
        if unit[0] != unit[1] or "value" not in one or "value" not in other:
            return None
        return compared("Decimal", one["value"], other["value"])
    return None


def same_answer(one: Answer, other: Answer) -> bool:
    """Whether an answer is an option's."""
    return one.keys() == other.keys() and all(equal(name[5:], value, other[name]) for name, value in one.items())


def conditions_for_page(node: Node) -> dict[str, Any] | None:
    """The conditions of a node as its page's script reads them; None without any.

    `{"all": bool, "when": [[field names, operator, type, value], …]}`; a Coding is `system|code`."""
    conditions: Sequence[Json] = node.definition.get("enableWhen", ())
    if not conditions:
        return None
    when = []
    for condition in conditions:
        name, wanted = wanted_of(condition)
        fields = [each.name for each in nearest(node, str(condition.get("question", "")))]
        when.append([fields, condition.get("operator", ""), name, token_of({"value" + name: wanted})])
    return {"all": node.definition.get("enableBehavior") == "all", "when": when}


def token_of(answer: Answer) -> str:
    """An answer as the value of a form field."""
    for name, value in value_of(answer).items():
        if name == "valueCoding":
            return f"{value.get('system', '')}|{value.get('code', '')}"
        if name == "valueQuantity":
            return str(value.get("value", ""))
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value.get("reference", "") if isinstance(value, Mapping) else value)
    return ""
