"""Results and vital signs over time: what was measured, newest first, with a small curve for each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ui import formats
from ui.doctor.concepts import LOINC, Resource, codes_of, words_of
from ui.doctor.measures import NAMES, UNITS
from ui.formats import moment_of
from ui.texts import say

_WIDTH, _HEIGHT, _MARGIN = 96, 28, 3
# v3-ObservationInterpretation, by how much it matters.
_MARKS = {"HH": "critical", "LL": "critical", "H": "high", "HU": "high", "L": "low", "LU": "low", "A": "abnormal",
          "AA": "critical", "POS": "abnormal", "N": "normal", "NEG": "normal"}  # fmt: skip
_MOST_POINTS = 12


@dataclass(frozen=True, slots=True)
class Value:
    """One measurement. `text`: with its unit; `mark`: critical, high, low, abnormal, normal or ""; `numbers`: what is
    drawn of it."""

    at: str
    text: str
    mark: str
    numbers: tuple[Decimal, ...]
    unit: str


@dataclass(frozen=True, slots=True)
class Trend:
    """Everything measured under one code. `values`: newest first; `curves`: `points` attributes of SVG polylines;
    `band`: y and height of the reference range in the picture; `range`: the reference range in words."""

    name: str
    code: str
    values: Sequence[Value]
    curves: Sequence[str]
    band: tuple[float, float] | None
    range: str
    order: str

    @property
    def latest(self) -> Value:
        """The newest value."""
        return self.values[0]

    @property
    def before(self) -> Value | None:
        """The one before the newest."""
        return self.values[1] if len(self.values) > 1 else None


def trends(observations: Iterable[Resource]) -> list[Trend]:
    """Observations (newest first) by what was measured; the trend with the newest value first."""
    groups: dict[str, list[Resource]] = {}
    for each in observations:
        if each.get("status") in ("entered-in-error", "cancelled", "registered") or not _moment(each):
            continue
        groups.setdefault(_key(each), []).append(each)
    found = [_trend(key, each) for key, each in groups.items()]
    return sorted(found, key=lambda trend: trend.order, reverse=True)


def named(found: Iterable[Trend], *codes: str) -> Trend | None:
    """The first of these trends with one of the codes."""
    return next((each for each in found if each.code in codes), None)


def _key(observation: Resource) -> str:
    code = observation.get("code", {})
    loinc = next((each.get("code") for each in code.get("coding", ()) if each.get("code")), None)
    return str(loinc or words_of(code).casefold())


def _moment(observation: Resource) -> str:
    return str(observation.get("effectiveDateTime") or observation.get("effectivePeriod", {}).get("start")
               or observation.get("effectiveInstant") or observation.get("issued") or "")  # fmt: skip


def _trend(key: str, observations: Sequence[Resource]) -> Trend:
    newest = max(observations, key=_sortable)
    ordered = sorted(observations, key=_sortable, reverse=True)
    values = [_value(each) for each in ordered]
    limits = _limits(newest)
    curves, band = _draw(values, limits)
    return Trend(_name(newest), key, values, curves, band, _range_text(newest), _sortable(newest))


def _name(observation: Resource) -> str:
    code = observation.get("code", {})
    known = next((NAMES[each["code"]] for each in code.get("coding", ())
                  if each.get("system") == LOINC and each.get("code") in NAMES), "")  # fmt: skip
    return say(known) if known else words_of(code)


def _shown(quantity: Mapping[str, Any]) -> str:
    unit = str(quantity.get("unit") or quantity.get("code", ""))
    return formats.quantity({**quantity, "unit": UNITS.get(unit, unit)})


def _sortable(observation: Resource) -> str:
    at = _moment(observation)
    return moment_of(at).isoformat() if "T" in at else at


def _value(observation: Resource) -> Value:
    mark = next((_MARKS[code] for each in observation.get("interpretation", ()) for code in codes_of(each)
                 if code in _MARKS), "")  # fmt: skip
    at = _moment(observation)
    if "valueQuantity" in observation:
        quantity = observation["valueQuantity"]
        if not mark:
            mark = _outside(quantity, observation)
        return Value(at, _shown(quantity), mark, _numbers([quantity]), str(quantity.get("unit", "")))
    parts = [each["valueQuantity"] for each in observation.get("component", ()) if "valueQuantity" in each]
    if parts:
        shown = "/".join(formats.number(each.get("value")) for each in parts)
        unit = str(parts[0].get("unit", ""))
        return Value(at, f"{shown} {unit}".strip(), mark, _numbers(parts), unit)
    text = words_of(observation.get("valueCodeableConcept")) or str(observation.get("valueString", ""))
    if not text and "valueBoolean" in observation:
        text = "+" if observation["valueBoolean"] else "−"
    if not text:
        text = str(observation.get("valueInteger", "")) or words_of(observation.get("dataAbsentReason")) or "–"
    return Value(at, text, mark, (), "")


def _numbers(quantities: Iterable[Mapping[str, Any]]) -> tuple[Decimal, ...]:
    return tuple(Decimal(str(each["value"])) for each in quantities if each.get("value") is not None)


def _limits(observation: Resource) -> tuple[Decimal | None, Decimal | None]:
    given: Resource = next(iter(observation.get("referenceRange", ())), {})
    low, high = given.get("low", {}).get("value"), given.get("high", {}).get("value")
    return (Decimal(str(low)) if low is not None else None, Decimal(str(high)) if high is not None else None)


def _outside(quantity: Mapping[str, Any], observation: Resource) -> str:
    """Where a value lies that came with a range but without an interpretation."""
    low, high = _limits(observation)
    if quantity.get("value") is None or (low is None and high is None):
        return ""
    value = Decimal(str(quantity["value"]))
    if low is not None and value < low:
        return "low"
    return "high" if high is not None and value > high else "normal"


def _range_text(observation: Resource) -> str:
    given: Resource = next(iter(observation.get("referenceRange", ())), {})
    if given.get("text"):
        return str(given["text"])
    low, high = _limits(observation)
    if low is not None and high is not None:
        return f"{formats.number(low)}–{formats.number(high)}"
    if high is not None:
        return f"≤ {formats.number(high)}"
    return f"≥ {formats.number(low)}" if low is not None else ""


def _draw(
    values: Sequence[Value], limits: tuple[Decimal | None, Decimal | None]
) -> tuple[list[str], tuple[float, float] | None]:
    """Polylines in a box of 96 by 28, oldest at the left (time runs so in Arabic charts, too), and the range's band."""
    shown = [each for each in reversed(values[:_MOST_POINTS]) if each.numbers]
    # A value in another unit has no place in the same curve.
    shown = [each for each in shown if each.unit == shown[-1].unit and len(each.numbers) == len(shown[-1].numbers)]
    if len(shown) < 2:
        return [], None
    every = [number for each in shown for number in each.numbers] + [each for each in limits if each is not None]
    least, most = min(every), max(every)
    span = float(most - least) or 1.0

    def height(number: Decimal) -> float:
        return round(_MARGIN + (_HEIGHT - 2 * _MARGIN) * (1 - float(number - least) / span), 1)

    times = [
        moment_of(each.at).timestamp()
        if "T" in each.at
        else moment_of(f"{(each.at + '-01-01')[:10]}T12:00:00").timestamp()
        for each in shown
    ]
    length = (times[-1] - times[0]) or 1.0
    across = [round(_MARGIN + (_WIDTH - 2 * _MARGIN) * (at - times[0]) / length, 1) for at in times]
    curves = [" ".join(f"{x},{height(each.numbers[number])}" for x, each in zip(across, shown, strict=True))
              for number in range(len(shown[0].numbers))]  # fmt: skip
    low, high = limits
    if low is None and high is None:
        return curves, None
    top, bottom = height(high if high is not None else most), height(low if low is not None else least)
    return curves, (top, round(max(bottom - top, 1), 1))
