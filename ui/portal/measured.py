"""Measurements as a patient reads them: a plain name, the value, and where it lies in the usual range."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ui import formats
from ui.fhir import Resource
from ui.texts import say

_LOINC = "http://loinc.org"
_LOW, _HIGH = frozenset({"L", "LL", "LU", "<"}), frozenset({"H", "HH", "HU", ">"})
_ODD = frozenset({"A", "AA", "POS", "DET", "R"})


@dataclass(frozen=True, slots=True)
class Measured:
    """One value. `code`: system|code for its history, "" where it has none; `value`: with its unit; `number`: for
    charts; `flag`: low, high, other or "" ; `range`: the usual values, in words."""

    code: str
    name: str
    value: str
    flag: str
    range: str
    at: datetime | None
    number: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    unit: str = ""
    note: str = ""


def measured(observation: Resource) -> list[Measured]:
    """The values of an Observation: its own, and those of its components."""
    at = moment_of(observation)
    own = [_one(observation, observation, at)] if _has_value(observation) else []
    return [*own, *(_one(each, observation, at) for each in observation.get("component", ()) if _has_value(each))]


def moment_of(resource: Resource) -> datetime | None:
    """When it was measured or written; None where nobody said."""
    period = resource.get("effectivePeriod", {})
    given = resource.get("effectiveDateTime") or resource.get("effectiveInstant") or period.get("start") \
        or resource.get("issued")  # fmt: skip
    if not given:
        return None
    if "T" in given:
        return formats.moment_of(str(given))
    return formats.moment_of(f"{(given + '-01-01')[:10]}T00:00:00")


def _has_value(holder: Mapping[str, Any]) -> bool:
    return any(name.startswith("value") for name in holder) or "dataAbsentReason" in holder


def _one(holder: Mapping[str, Any], observation: Resource, at: datetime | None) -> Measured:
    quantity = holder.get("valueQuantity", {})
    number = None if quantity.get("value") is None else Decimal(str(quantity["value"]))
    low, high, words = _range(holder)
    return Measured(
        code=_code(holder.get("code", {})), name=plain_name(holder.get("code", {})), value=_value(holder),
        flag=_flag(holder, number, low, high), range=words, at=at, number=number, low=low, high=high,
        unit=str(quantity.get("unit") or quantity.get("code", "")),
        note=" ".join(str(each.get("text", "")) for each in observation.get("note", ())),
    )  # fmt: skip


def _code(concept: Mapping[str, Any]) -> str:
    for each in concept.get("coding", ()):
        if each.get("code"):
            return f"{each.get('system', '')}|{each['code']}"
    return ""


def _value(holder: Mapping[str, Any]) -> str:
    if "valueQuantity" in holder:
        return formats.quantity(_short(holder["valueQuantity"]))
    if "valueCodeableConcept" in holder:
        return formats.coded(holder["valueCodeableConcept"])
    if "valueBoolean" in holder:
        return say("Yes") if holder["valueBoolean"] else say("No")
    if "valueRatio" in holder:
        ratio = holder["valueRatio"]
        return f"{formats.quantity(ratio.get('numerator'))} / {formats.quantity(ratio.get('denominator'))}"
    if "valueDateTime" in holder:
        return formats.moment(holder["valueDateTime"])
    found = next((value for name, value in holder.items() if name.startswith("value")), None)
    return str(found) if isinstance(found, str | int | Decimal) else say("Not measured")


def _short(quantity: Mapping[str, Any]) -> Mapping[str, Any]:
    """A quantity whose unit is an English word (`beats/minute`) with its code instead (`/min`)."""
    wordy = str(quantity.get("unit", "")).endswith("/minute") and quantity.get("code")
    return {**quantity, "unit": quantity["code"]} if wordy else quantity


def _range(holder: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None, str]:
    for each in holder.get("referenceRange", ()):
        low, high = (each.get(name, {}).get("value") for name in ("low", "high"))
        if low is None and high is None:
            if each.get("text"):
                return None, None, str(each["text"])
            continue
        if low is None:
            words = say("up to %(high)s", high=formats.number(high))
        elif high is None:
            words = say("from %(low)s", low=formats.number(low))
        else:
            words = say("from %(low)s to %(high)s", low=formats.number(low), high=formats.number(high))
        return low, high, words
    return None, None, ""


def _flag(holder: Mapping[str, Any], number: Decimal | None, low: Any, high: Any) -> str:
    """What the laboratory says; where it says nothing, what the range shows."""
    codes = {str(coding.get("code")) for each in holder.get("interpretation", ()) for coding in each.get("coding", ())}
    if codes & _LOW:
        return "low"
    if codes & _HIGH:
        return "high"
    if codes & _ODD:
        return "other"
    if codes or number is None:
        return ""
    if low is not None and number < Decimal(str(low)):
        return "low"
    return "high" if high is not None and number > Decimal(str(high)) else ""


def plain_name(concept: Mapping[str, Any]) -> str:
    """What was measured, in everyday words for what is measured often, else as the laboratory calls it."""
    for each in concept.get("coding", ()):
        if each.get("system") == _LOINC and each.get("code") in _EVERYDAY:
            return _everyday(str(each["code"]))
    return formats.coded(concept)


def _everyday(code: str) -> str:
    return {
        "2345-7": say("Blood sugar"), "2339-0": say("Blood sugar"), "1558-6": say("Fasting blood sugar"),
        "4548-4": say("HbA1c (sugar over three months)"), "2160-0": say("Creatinine (kidneys)"),
        "718-7": say("Haemoglobin"), "6690-2": say("White blood cells"), "777-3": say("Platelets"),
        "789-8": say("Red blood cells"), "2951-2": say("Sodium"), "2823-3": say("Potassium"),
        "2093-3": say("Total cholesterol"), "2085-9": say("HDL cholesterol"), "13457-7": say("LDL cholesterol"),
        "2571-8": say("Triglycerides"), "1742-6": say("ALT (liver)"), "1920-8": say("AST (liver)"),
        "1988-5": say("CRP (inflammation)"), "3016-3": say("TSH (thyroid)"), "8867-4": say("Pulse"),
        "8310-5": say("Temperature"), "9279-1": say("Breaths per minute"), "59408-5": say("Oxygen in the blood"),
        "2708-6": say("Oxygen in the blood"), "8480-6": say("Blood pressure, upper value"),
        "8462-4": say("Blood pressure, lower value"), "85354-9": say("Blood pressure"),
        "29463-7": say("Weight"), "8302-2": say("Height"), "39156-5": say("Body mass index"),
        "9843-4": say("Head circumference"), "14647-2": say("Total cholesterol"), "2276-4": say("Ferritin"),
    }[code]  # fmt: skip


_EVERYDAY = frozenset({
    "2345-7", "2339-0", "1558-6", "4548-4", "2160-0", "718-7", "6690-2", "777-3", "789-8", "2951-2", "2823-3",
    "2093-3", "2085-9", "13457-7", "2571-8", "1742-6", "1920-8", "1988-5", "3016-3", "8867-4", "8310-5", "9279-1",
    "59408-5", "2708-6", "8480-6", "8462-4", "85354-9", "29463-7", "8302-2", "39156-5", "9843-4", "14647-2", "2276-4",
})  # fmt: skip


# -- a chart -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve for SVG, in a box of `width` times `height`: `points` (x, y, Measured), `line` for a polyline, `band`
    (y, height) of the usual range, `ticks` (y, its bound)."""

    width: int
    height: int
    points: Sequence[tuple[float, float, Measured]]
    line: str
    band: tuple[float, float] | None
    ticks: Sequence[tuple[float, Decimal]]


_WIDTH, _HEIGHT, _PAD = 600, 240, 24


def chart(values: Sequence[Measured]) -> Chart | None:
    """The curve of values in the order of time; None for fewer than two."""
    usable = [each for each in values if each.number is not None and each.at is not None]
    if len(usable) < 2:
        return None
    last = usable[-1]
    numbers = [float(each.number or 0) for each in usable]
    edges = [float(each) for each in (last.low, last.high) if each is not None]
    lowest, highest = min(numbers + edges), max(numbers + edges)
    room = (highest - lowest) * 0.1 or 1.0
    lowest, highest = lowest - room, highest + room
    begin = min(each.at.timestamp() for each in usable if each.at)
    span = max(each.at.timestamp() for each in usable if each.at) - begin or 1.0

    def y_of(value: float) -> float:
        return round(_HEIGHT - _PAD - (value - lowest) / (highest - lowest) * (_HEIGHT - 2 * _PAD), 1)

    points = [(round(_PAD + ((each.at.timestamp() if each.at else begin) - begin) / span * (_WIDTH - 2 * _PAD), 1),
               y_of(number), each) for each, number in zip(usable, numbers, strict=True)]  # fmt: skip
    top = y_of(float(last.high)) if last.high is not None else float(_PAD)
    bottom = y_of(float(last.low)) if last.low is not None else float(_HEIGHT - _PAD)
    band = (top, round(bottom - top, 1)) if edges else None
    ticks = [(y_of(float(each)), each) for each in (last.low, last.high) if each is not None]
    return Chart(_WIDTH, _HEIGHT, points, " ".join(f"{x},{y}" for x, y, _ in points), band, ticks)
