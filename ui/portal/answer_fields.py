"""Answers as form fields: what a field's text means as FHIR value, and how a value stands in a field. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core import dates
from ui.portal.enable_when import token_of
from ui.portal.question_tree import Answer, Node, value_of

Json = Mapping[str, Any]

_ARABIC_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫", "01234567890123456789.")
_EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
_CONTROL = f"{_EXTENSION}questionnaire-itemControl"
# As many choices as stand under one another; more go into a list that opens.
_RADIOS = 7
_LARGEST_INTEGER = 2**31 - 1


class NotAnAnswer(Exception):
    """What was typed is no answer to the question. `kind`: what it takes: integer, decimal, date, dateTime, time, url,
    choice, text (what no text may hold)."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def answer_of(definition: Json, text: str, options: Sequence[Answer], zone: ZoneInfo) -> Answer:
    """The value that a field's text stands for. Raises `NotAnAnswer`."""
    kind = str(definition.get("type", "string"))
    text = text.strip()
    if "\0" in text:
        raise NotAnAnswer("text")
    if options:
        found = next((each for each in options if token_of(each) == text), None)
        if found is not None:
            return dict(found)
        if kind != "open-choice":
            raise NotAnAnswer("choice")
    if kind in ("choice", "reference", "attachment"):
        raise NotAnAnswer("choice")
    return _PARSED.get(kind, _text)(definition, text, zone)


def _text(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    return {"valueString": text}


def _boolean(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    if text not in ("true", "false"):
        raise NotAnAnswer("choice")
    return {"valueBoolean": text == "true"}


def _integer(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    plain = text.translate(_ARABIC_DIGITS)
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", plain) or abs(int(plain)) > _LARGEST_INTEGER:
        raise NotAnAnswer("integer")
    return {"valueInteger": int(plain)}


def _number(text: str) -> Decimal:
    plain = text.translate(_ARABIC_DIGITS).replace(",", ".")
    if not re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,9})?", plain):
        raise NotAnAnswer("decimal")
    try:
        return Decimal(plain)
    except InvalidOperation:
        raise NotAnAnswer("decimal") from None


def _decimal(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    return {"valueDecimal": _number(text)}


def _quantity(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    unit = unit_of(definition)
    said = {name: unit[other] for name, other in (("unit", "display"), ("system", "system"), ("code", "code"))
            if other in unit}  # fmt: skip
    return {"valueQuantity": {"value": _number(text), **said}}


def _date(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    try:
        return {"valueDate": date.fromisoformat(text.translate(_ARABIC_DIGITS)).isoformat()}
    except ValueError:
        raise NotAnAnswer("date") from None


def _moment(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    try:
        found = datetime.fromisoformat(text.translate(_ARABIC_DIGITS))
    except ValueError:
        raise NotAnAnswer("dateTime") from None
    aware = found if found.tzinfo else found.replace(tzinfo=zone)
    return {"valueDateTime": aware.isoformat(timespec="seconds")}


def _clock(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    try:
        return {"valueTime": time.fromisoformat(text.translate(_ARABIC_DIGITS)).isoformat(timespec="seconds")}
    except ValueError:
        raise NotAnAnswer("time") from None


def _url(definition: Json, text: str, zone: ZoneInfo) -> Answer:
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*:\S{1,2000}", text):
        raise NotAnAnswer("url")
    return {"valueUri": text}


_PARSED = {
    "boolean": _boolean, "integer": _integer, "decimal": _decimal, "quantity": _quantity, "date": _date,
    "dateTime": _moment, "time": _clock, "url": _url,
}  # fmt: skip


# -- on the page -------------------------------------------------------------------------------------------------------


def typed_of(node: Node, zone: ZoneInfo) -> list[str]:
    """What stands in the fields of a question: what was typed if that was no answer, else the answers."""
    return node.typed or [_shown(each, zone) for each in node.answers]


def _shown(answer: Answer, zone: ZoneInfo) -> str:
    moment = answer.get("valueDateTime")
    if moment is not None and "T" in moment:
        return dates.moment(moment, zone).strftime("%Y-%m-%dT%H:%M")
    clock = answer.get("valueTime")
    return str(clock)[:5] if clock is not None else token_of(answer)


def widget(node: Node, options: Sequence[Answer]) -> str:
    """How a question is asked: radio, checkbox, select, yes-no, textarea, input, or none for what a page cannot ask."""
    if node.kind == "boolean":
        return "yes-no"
    if node.kind in ("attachment", "reference"):
        return "none"
    if options:
        if node.repeats:
            return "checkbox"
        return "select" if control(node.definition) == "drop-down" or len(options) > _RADIOS else "radio"
    if node.kind == "choice":
        return "none"
    return "textarea" if node.kind == "text" else "input"


def control(definition: Json) -> str:
    """The code of the itemControl extension, "" without one."""
    for each in definition.get("extension", ()):
        if each.get("url") == _CONTROL:
            for coding in each.get("valueCodeableConcept", {}).get("coding", ()):
                return str(coding.get("code", ""))
    return ""


def unit_of(definition: Json) -> Json:
    """The Coding of the unit in which a number is asked for; {} without one."""
    for name in ("questionnaire-unit", "questionnaire-unitOption"):
        for each in definition.get("extension", ()):
            if each.get("url") == f"{_EXTENSION}{name}" and "valueCoding" in each:
                found: Json = each["valueCoding"]
                return found
    return {}


def bound(definition: Json, name: str) -> Any:
    """The value of the extension minValue, maxValue or minLength; None without one."""
    for each in definition.get("extension", ()):
        if each.get("url") == f"{_EXTENSION}{name}":
            return next(iter(value_of(each).values()), None)
    return None


def local_text(element: Json, name: str, language: str) -> str:
    """A text of a questionnaire in the person's language where it is translated, else as it stands."""
    for each in element.get(f"_{name}", {}).get("extension", ()):
        if each.get("url") == f"{_EXTENSION}translation":
            parts = {part.get("url"): part for part in each.get("extension", ())}
            if str(parts.get("lang", {}).get("valueCode", "")).split("-")[0] == language:
                return str(parts.get("content", {}).get("valueString", ""))
    return str(element.get(name, ""))


def option_text(answer: Answer, language: str) -> str:
    """An option as people read it."""
    coding = answer.get("valueCoding")
    if coding is not None:
        return local_text(coding, "display", language) or str(coding.get("code", ""))
    return token_of(answer)
