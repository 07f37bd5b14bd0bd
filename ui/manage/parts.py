"""Extensions whose parts are fields of a form: shown, read from what was posted, and written back so that every part
which the form does not know stays as it was.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from werkzeug.datastructures import MultiDict

from ui.texts import say

Resource = dict[str, Any]
_MOST_INT = 2**31 - 1
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,4})?\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
# Of spans that are stored in minutes: how the form counts them.
UNITS = (("min", 1), ("h", 60), ("d", 1440))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an extension as a field. `element`: where its value stands; `kind`: number, span (minutes, entered in a
    unit), flag, text, code, codes, time, money, references; `least`, `most` of numbers and lengths; `choices`: (code,
    label) of codes; `unit`: of a number, for people."""

    name: str
    element: str
    kind: str
    label: str
    hint: str = ""
    least: int = 0
    most: int = _MOST_INT
    unit: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Problems:
    """What is wrong with a posted form: sentences by field."""

    by_field: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, sentence: str) -> None:
        """Note what is wrong with a field, unless something is noted already."""
        self.by_field.setdefault(name, sentence)

    def __bool__(self) -> bool:
        return bool(self.by_field)


# -- shown -------------------------------------------------------------------------------------------------------------


def extension_of(resource: Mapping[str, Any], url: str) -> Resource | None:
    """The first extension of a url."""
    return next((each for each in resource.get("extension", ()) if each.get("url") == url), None)


def parts_of(extension: Mapping[str, Any] | None, name: str) -> list[Resource]:
    """The parts of a name."""
    return [each for each in (extension or {}).get("extension", ()) if each.get("url") == name]


def shown(extension: Mapping[str, Any] | None, parts: Sequence[Part]) -> dict[str, Any]:
    """What the fields of a form say: text by name, lists for codes and references, True for a set flag."""
    found: dict[str, Any] = {}
    for part in parts:
        stated = [value_of(each) for each in parts_of(extension, part.name)]
        found.update(_shown(part, stated))
    return found


def value_of(part: Mapping[str, Any]) -> Any:
    """The value of a part, whatever its type."""
    return next((value for name, value in part.items() if name.startswith("value")), None)


def _shown(part: Part, stated: list[Any]) -> dict[str, Any]:
    if part.kind == "codes":
        return {part.name: [str(each) for each in stated]}
    if part.kind == "references":
        return {part.name: [_reference(each) for each in stated]}
    value = stated[0] if stated else None
    if part.kind == "flag":
        return {part.name: value is True}
    if part.kind == "money":
        given = value or {}
        return {part.name: _amount(given.get("value")), f"{part.name}-currency": given.get("currency", "")}
    if part.kind == "span":
        unit, size = next(((u, s) for u, s in reversed(UNITS) if value and value % s == 0), UNITS[0])
        return {part.name: "" if value is None else str(value // size), f"{part.name}-unit": unit}
    text = "" if value is None else str(value)
    return {part.name: text[:5] if part.kind == "time" else text}


def _reference(value: Any) -> str:
    return str(value.get("reference", "")) if isinstance(value, dict) else str(value)


def _amount(value: Any) -> str:
    return "" if value is None else format(Decimal(str(value)), "f")


# -- posted ------------------------------------------------------------------------------------------------------------


def typed(form: "MultiDict[str, str]", parts: Sequence[Part]) -> dict[str, Any]:
    """What a person typed, in the form of `shown`, to show it again."""
    found: dict[str, Any] = {}
    for part in parts:
        if part.kind in ("codes", "references"):
            found[part.name] = form.getlist(part.name)
        elif part.kind == "flag":
            found[part.name] = part.name in form
        else:
            found[part.name] = form.get(part.name, "").strip()
            for more in ("currency", "unit"):
                if f"{part.name}-{more}" in form or (part.kind, more) in (("money", "currency"), ("span", "unit")):
                    found[f"{part.name}-{more}"] = form.get(f"{part.name}-{more}", "").strip()
    return found


def values(said: Mapping[str, Any], parts: Sequence[Part], problems: Problems) -> dict[str, list[Any]]:
    """The values of each part, checked; [] where a field is empty."""
    return {part.name: _values(part, said, problems) for part in parts}


def _values(part: Part, said: Mapping[str, Any], problems: Problems) -> list[Any]:
    given = said[part.name]
    if part.kind == "flag":
        return [True] if given else []
    if part.kind in ("codes", "references"):
        known = {code for code, _ in part.choices}
        kept = [each for each in given if not known or each in known]
        return kept if part.kind == "codes" else [{"reference": each} for each in kept]
    if given == "":
        return []
    value = _CHECKS[part.kind](part, given, said)
    if isinstance(value, _Wrong):
        problems.add(part.name, value.sentence)
        return []
    return [value]


@dataclass(frozen=True, slots=True)
class _Wrong:
    sentence: str


def _number(part: Part, text: str, said: Mapping[str, Any]) -> Any:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else -1
    if not part.least <= number <= part.most:
        if part.most == _MOST_INT:
            return _Wrong(say("Enter a whole number from %(least)s.", least=part.least))
        return _Wrong(say("Enter a whole number from %(least)s to %(most)s.", least=part.least, most=part.most))
    return number


def _span(part: Part, text: str, said: Mapping[str, Any]) -> Any:
    size = dict(UNITS).get(said.get(f"{part.name}-unit", ""), 1)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else -1
    if not part.least <= number * size <= part.most:
        return _Wrong(say("Enter a whole number."))
    return number * size


def _text(part: Part, text: str, said: Mapping[str, Any]) -> Any:
    if not part.least <= len(text) <= part.most:
        return _Wrong(say("At most %(most)s characters.", most=part.most))
    return text


def _code(part: Part, text: str, said: Mapping[str, Any]) -> Any:
    return text if text in {code for code, _ in part.choices} else _Wrong(say("Choose one of the list."))


def _time(part: Part, text: str, said: Mapping[str, Any]) -> Any:
    return f"{text}:00" if _TIME.match(text) else _Wrong(say("Enter a time such as 09:30."))


def _money(part: Part, text: str, said: Mapping[str, Any]) -> Any:
    plain = text.replace(",", ".").replace(" ", "")
    if not _AMOUNT.match(plain):
        return _Wrong(say("Enter an amount such as 250.00."))
    currency = str(said.get(f"{part.name}-currency", "")).upper()
    if not _CURRENCY.match(currency):
        return _Wrong(say("Enter the currency as three letters, such as MAD."))
    return {"value": Decimal(plain), "currency": currency}


_CHECKS = {
    "number": _number, "span": _span, "text": _text, "code": _code, "time": _time, "money": _money,
}  # fmt: skip


# -- written -----------------------------------------------------------------------------------------------------------


def written(
    extension: Mapping[str, Any] | None, url: str, parts: Sequence[Part], said: Mapping[str, list[Any]]
) -> Resource:
    """The extension with these values. A part that says the same stays as it is, with whatever hangs on it; parts of
    other names keep their places."""
    old = list((extension or {}).get("extension", ()))
    kept: list[Resource] = []
    done: set[str] = set()
    by_name = {part.name: part for part in parts}
    for each in old:
        name = str(each.get("url"))
        if name not in by_name or name not in said:
            kept.append(each)
        elif name not in done:
            done.add(name)
            kept += _rows(by_name[name], parts_of(extension, name), said[name])
    for name, wanted in said.items():
        if name not in done and name in by_name:
            kept += _rows(by_name[name], [], wanted)
    made = {key: value for key, value in (extension or {}).items() if key != "extension"}
    return {**made, "url": url, "extension": kept}


def _rows(part: Part, old: list[Resource], wanted: list[Any]) -> list[Resource]:
    rows: list[Resource] = []
    for value in wanted:
        same = next((each for each in old if _same(value_of(each), value)), None)
        rows.append(same or {"url": part.name, part.element: value})
    # A flag that is off and was never said stays unsaid; one that was said is said anew.
    if part.kind == "flag" and not wanted and old:
        rows.append(next((each for each in old if value_of(each) is False), {"url": part.name, part.element: False}))
    return rows


def _same(one: Any, other: Any) -> bool:
    """Whether two values say the same: references by what they point to, money with all its digits."""
    if isinstance(one, dict) and isinstance(other, dict) and "reference" in other:
        return bool(one.get("reference") == other["reference"])
    if isinstance(one, dict) and isinstance(other, dict) and "currency" in other:
        return one.get("currency") == other["currency"] and str(one.get("value")) == str(other["value"])
    return bool(one == other)


def put(resource: Resource, extension: Resource) -> None:
    """Set an extension of a resource in the place of the first with its url; one without parts goes away."""
    listed = list(resource.get("extension", ()))
    place = next((n for n, each in enumerate(listed) if each.get("url") == extension["url"]), None)
    if place is None:
        listed.append(extension)
    else:
        listed[place] = extension
    resource["extension"] = [each for each in listed if each is not extension or extension.get("extension")]
    if not resource["extension"]:
        del resource["extension"]


def field_at(resource: Mapping[str, Any], expression: str) -> str:
    """The name of the part to which an error's path leads (`HealthcareService.extension[0].extension[3]…`); "" when it
    leads elsewhere."""
    places = [int(each) for each in re.findall(r"\.extension\[(\d+)\]", expression)]
    try:
        at: Any = resource
        for place in places[:2]:
            at = at["extension"][place]
    except (KeyError, IndexError):
        return ""
    return str(at.get("url", "")) if len(places) > 1 else ""
