"""Vital signs: what can be measured at a visit, and the Observations that say it.

Codes are those of the R4 vital signs profiles (https://hl7.org/fhir/R4/observation-vitalsigns.html), units are UCUM.
Ranges tell slips of the pen from measurements: what lies outside is asked about, never refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ui.doctor.concepts import LOINC, TERMINOLOGY, UCUM, Resource, concept

_DIGITS = str.maketrans({",": ".", "٫": ".", "،": ".", " ": None, "\u00a0": None, "\u202f": None})
_LONGEST = 12


@dataclass(frozen=True, slots=True)
class Sign:
    """Something measured. `label`: English sentence id; `low`, `high`: outside of them a value is hardly possible;
    `places`: decimal places that are usual; `also`: a second LOINC code that others search by."""

    name: str
    label: str
    code: str
    display: str
    unit: str
    ucum: str
    low: Decimal
    high: Decimal
    places: int = 0
    also: tuple[str, str] | None = None


def _sign(
    name: str, label: str, code: str, display: str, unit: str, ucum: str, low: str, high: str, **more: Any
) -> Sign:
    return Sign(name, label, code, display, unit, ucum, Decimal(low), Decimal(high), **more)


SYSTOLIC = _sign("systolic", "Systolic pressure", "8480-6", "Systolic blood pressure", "mmHg", "mm[Hg]", "60", "250")
DIASTOLIC = _sign(
    "diastolic", "Diastolic pressure", "8462-4", "Diastolic blood pressure", "mmHg", "mm[Hg]", "30", "150"
)
WEIGHT = _sign("weight", "Weight", "29463-7", "Body weight", "kg", "kg", "0.4", "300", places=1)
HEIGHT = _sign("height", "Height", "8302-2", "Body height", "cm", "cm", "25", "230")
BMI = _sign("bmi", "Body mass index", "39156-5", "Body mass index (BMI) [Ratio]", "kg/m²", "kg/m2", "8", "80", places=1)
GLUCOSE = _sign(
    "glucose", "Capillary glucose", "41653-7", "Glucose [Mass/volume] in Capillary blood by Glucometer",
    "mg/dL", "mg/dL", "30", "600",
)  # fmt: skip
ENTERED = (
    SYSTOLIC,
    DIASTOLIC,
    _sign("pulse", "Heart rate", "8867-4", "Heart rate", "/min", "/min", "30", "220"),
    _sign("temperature", "Temperature", "8310-5", "Body temperature", "°C", "Cel", "33", "42.5", places=1),
    _sign("oxygen", "Oxygen saturation", "2708-6", "Oxygen saturation in Arterial blood", "%", "%", "60", "100",
          also=("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry")),
    _sign("breathing", "Respiratory rate", "9279-1", "Respiratory rate", "/min", "/min", "6", "70"),
    WEIGHT,
    HEIGHT,
    GLUCOSE,
    _sign("pain", "Pain (0–10)", "72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported",
          "/10", "{score}", "0", "10"),
)  # fmt: skip
# Glucose is read in three units in the region; mmol/L has a code of its own, because it is another property.
GLUCOSE_UNITS: Mapping[str, Sign] = {
    "mg/dL": GLUCOSE,
    "g/L": _sign("glucose", GLUCOSE.label, GLUCOSE.code, GLUCOSE.display, "g/L", "g/L", "0.3", "6", places=2),
    "mmol/L": _sign("glucose", GLUCOSE.label, "14743-9", "Glucose [Moles/volume] in Capillary blood by Glucometer",
                    "mmol/L", "mmol/L", "1.5", "33", places=1),
}  # fmt: skip
_PRESSURE = concept(LOINC, "85354-9", "Blood pressure panel with all children optional", "Blood pressure")
_CATEGORY = [concept(TERMINOLOGY + "observation-category", "vital-signs", "Vital Signs")]
# Never right, whatever the patient: refused at the field.
_WHOLE = {"pain": (Decimal(0), Decimal(10)), "oxygen": (Decimal(1), Decimal(100))}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a form says. `values`: by sign; `wrong`: sentence ids by field that cannot be stored; `doubtful`: by field,
    what should be looked at again; `signs`: the table as the chosen units have it."""

    values: dict[str, Decimal]
    wrong: dict[str, str]
    doubtful: dict[str, str]
    signs: tuple[Sign, ...]


def number(text: str) -> Decimal:
    """A number as people write it: comma or point, any digits. Raises `ValueError`."""
    plain = text.strip().translate(_DIGITS)
    if len(plain) > _LONGEST or not all(each.isdigit() or each == "." for each in plain):
        raise ValueError("no number")
    try:
        return Decimal(plain)
    except InvalidOperation as error:
        raise ValueError("no number") from error


def read(form: Mapping[str, str]) -> Reading:
    """The values of a form, and what is wrong or doubtful about them."""
    chosen = GLUCOSE_UNITS.get(form.get("glucose_unit", ""), GLUCOSE)
    signs = tuple(chosen if sign.name == "glucose" else sign for sign in ENTERED)
    values: dict[str, Decimal] = {}
    wrong: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    for sign in signs:
        text = form.get(sign.name, "").strip()
        if not text:
            continue
        try:
            value = number(text)
        except ValueError:
            wrong[sign.name] = "Write a number, such as 37.5."
            continue
        least, most = _WHOLE.get(sign.name, (None, None))
        if value < 0 or (least is not None and most is not None and not least <= value <= most):
            wrong[sign.name] = "This value is not possible."
        else:
            values[sign.name] = value
            if not sign.low <= value <= sign.high:
                doubtful[sign.name] = "This is unusual. Please check value and unit."
    _check_pressure(values, wrong, doubtful)
    return Reading(values, wrong, doubtful, signs)


def _check_pressure(values: Mapping[str, Decimal], wrong: dict[str, str], doubtful: dict[str, str]) -> None:
    both = ("systolic", "diastolic")
    if any(name in wrong for name in both):
        return
    missing = [name for name in both if name not in values]
    if len(missing) == 1:
        wrong[missing[0]] = "Both pressures are needed."
    elif not missing and values["systolic"] <= values["diastolic"]:
        doubtful["diastolic"] = "The diastolic pressure is usually the lower one."


def body_mass_index(weight: Decimal, height: Decimal) -> Decimal | None:
    """kg/m² with one decimal; None when it would be no body's."""
    if weight <= 0 or height <= 0:
        return None
    found = (weight / (height / 100) ** 2).quantize(Decimal("0.1"))
    return found if BMI.low <= found <= BMI.high else None


def observations(reading: Reading, about: Mapping[str, Any]) -> list[tuple[str, Resource]]:
    """The Observations of a reading, each with the `urn:uuid`-free name it has in this reading (`weight`, `bmi` …).

    `about`: what all share: subject, encounter, effectiveDateTime, performer.
    """
    values, found = reading.values, []
    if "systolic" in values and "diastolic" in values:
        pressure = {"component": [_measured(SYSTOLIC, values["systolic"]), _measured(DIASTOLIC, values["diastolic"])]}
        found.append(("pressure", {**_observation(_PRESSURE, about), **pressure}))
    for sign in reading.signs:
        if sign in (SYSTOLIC, DIASTOLIC) or sign.name not in values:
            continue
        found.append((sign.name, _of_sign(sign, values[sign.name], about)))
    if "weight" in values and "height" in values:
        index = body_mass_index(values["weight"], values["height"])
        if index is not None:
            found.append(("bmi", _of_sign(BMI, index, about)))
    return found


def _of_sign(sign: Sign, value: Decimal, about: Mapping[str, Any]) -> Resource:
    measured = _measured(sign, value)
    return {**_observation(measured["code"], about), "valueQuantity": measured["valueQuantity"]}


def _measured(sign: Sign, value: Decimal) -> Resource:
    code = concept(LOINC, sign.code, sign.display)
    if sign.also:
        code["coding"].append({"system": LOINC, "code": sign.also[0], "display": sign.also[1]})
    return {
        "code": code,
        "valueQuantity": {"value": value, "unit": sign.unit, "system": UCUM, "code": sign.ucum},
    }


def _observation(code: Resource, about: Mapping[str, Any]) -> Resource:
    return {"resourceType": "Observation", "status": "final", "category": _CATEGORY, "code": code, **about}
