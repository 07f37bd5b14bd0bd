"""How a medicine is taken: a form's fields, R4's Dosage, and the sentence that the patient reads.

https://hl7.org/fhir/R4/dosage.html. Routes are v3-RouteOfAdministration, moments v3-TimingEvent, units UCUM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Any

from babel.numbers import format_decimal

from ui import texts
from ui.doctor.concepts import TERMINOLOGY, UCUM, Resource, concept
from ui.doctor.vital_signs import number

# English ids of the sentence for one and for many; the UCUM code; whether such doses can be counted out.
UNITS: Mapping[str, tuple[str, str, str, bool]] = {
    "tablet": ("%(dose)s tablet", "%(dose)s tablets", "{tbl}", True),
    "capsule": ("%(dose)s capsule", "%(dose)s capsules", "{capsule}", True),
    "sachet": ("%(dose)s sachet", "%(dose)s sachets", "{sachet}", True),
    "suppository": ("%(dose)s suppository", "%(dose)s suppositories", "{suppository}", True),
    "ampoule": ("%(dose)s ampoule", "%(dose)s ampoules", "{ampule}", True),
    "drop": ("%(dose)s drop", "%(dose)s drops", "[drp]", False),
    "puff": ("%(dose)s puff", "%(dose)s puffs", "{puff}", False),
    "application": ("%(dose)s application", "%(dose)s applications", "{application}", False),
    "ml": ("%(dose)s mL", "%(dose)s mL", "mL", False),
    "mg": ("%(dose)s mg", "%(dose)s mg", "mg", False),
    "g": ("%(dose)s g", "%(dose)s g", "g", False),
    "unit": ("%(dose)s unit", "%(dose)s units", "[iU]", False),
}
# What the list of units shows, without a number.
UNIT_LABELS: Mapping[str, str] = {
    "tablet": "tablet(s)", "capsule": "capsule(s)", "sachet": "sachet(s)", "suppository": "suppository(ies)",
    "ampoule": "ampoule(s)", "drop": "drop(s)", "puff": "puff(s)", "application": "application(s)", "ml": "mL",
    "mg": "mg", "g": "g", "unit": "IU",
}  # fmt: skip
ROUTES: Mapping[str, tuple[str, str]] = {
    "PO": ("by mouth", "Swallow, oral"),
    "SL": ("under the tongue", "Dissolve, sublingual"),
    "IPINHL": ("by inhalation", "Inhalation, respiratory"),
    "NASALINSTIL": ("in the nose", "Instillation, nasal"),
    "OPTHALTA": ("in the eye", "Topical application, ophthalmic"),
    "OT": ("in the ear", "Instillation, otic"),
    "TOPICAL": ("on the skin", "Topical"),
    "PR": ("rectally", "Insertion, rectal"),
    "VAGINS": ("vaginally", "Insertion, vaginal"),
    "SQ": ("under the skin", "Injection, subcutaneous"),
    "IM": ("into the muscle", "Injection, intramuscular"),
    "IV": ("into the vein", "Infusion, intravenous"),
}
# English sentence id, and Timing.repeat.
TIMES: Mapping[str, tuple[str, Resource]] = {
    "1d": ("once a day", {"frequency": 1, "period": 1, "periodUnit": "d"}),
    "2d": ("twice a day", {"frequency": 2, "period": 1, "periodUnit": "d"}),
    "3d": ("three times a day", {"frequency": 3, "period": 1, "periodUnit": "d"}),
    "4d": ("four times a day", {"frequency": 4, "period": 1, "periodUnit": "d"}),
    "morning": ("every morning", {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["MORN"]}),
    "evening": ("every evening", {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["EVE"]}),
    "night": ("at bedtime", {"frequency": 1, "period": 1, "periodUnit": "d", "when": ["HS"]}),
    "meals": ("three times a day with meals", {"frequency": 3, "period": 1, "periodUnit": "d", "when": ["C"]}),
    "q4h": ("every 4 hours", {"frequency": 1, "period": 4, "periodUnit": "h"}),
    "q6h": ("every 6 hours", {"frequency": 1, "period": 6, "periodUnit": "h"}),
    "q8h": ("every 8 hours", {"frequency": 1, "period": 8, "periodUnit": "h"}),
    "q12h": ("every 12 hours", {"frequency": 1, "period": 12, "periodUnit": "h"}),
    "2days": ("every other day", {"frequency": 1, "period": 2, "periodUnit": "d"}),
    "1w": ("once a week", {"frequency": 1, "period": 1, "periodUnit": "wk"}),
    "1mo": ("once a month", {"frequency": 1, "period": 1, "periodUnit": "mo"}),
    "once": ("once only", {"count": 1}),
}
DURATIONS: Mapping[str, tuple[str, str, str, str]] = {
    "d": ("for %(count)s day", "for %(count)s days", "days", "d"),
    "wk": ("for %(count)s week", "for %(count)s weeks", "weeks", "wk"),
    "mo": ("for %(count)s month", "for %(count)s months", "months", "mo"),
}
_HOURS = {"h": 1, "d": 24, "wk": 168, "mo": 720}
_LOCALES = {"ar": "ar_MA"}
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a prescription. `dose` and `unit` are both given or both missing, like `length` and `length_unit`."""

    medication: str
    dose: Decimal | None
    unit: str
    route: str
    times: str
    length: int | None
    length_unit: str
    needed: bool
    needed_for: str
    note: str


def read(form: Mapping[str, str]) -> tuple[Line, dict[str, str]]:
    """A line as a form says it, and the sentence ids of what is wrong by field."""
    wrong: dict[str, str] = {}
    medication = " ".join(form.get("medication", "").split())
    if not medication:
        wrong["medication"] = "Write the name of the medicine."
    text = {name: form.get(name, "").strip() for name in ("medication", "needed_for", "note")}
    for name, given in text.items():
        if len(given) > _LONGEST:
            wrong[name] = "This is too long."
    dose = _dose(form.get("dose", ""), wrong)
    length = _length(form.get("length", ""), wrong)
    chosen = {name: form.get(name, "") for name in ("unit", "route", "times", "length_unit")}
    tables: Mapping[str, Mapping[str, Any]] = {
        "unit": UNITS, "route": ROUTES, "times": TIMES, "length_unit": DURATIONS,
    }  # fmt: skip
    for name, value in chosen.items():
        if value and value not in tables[name]:
            wrong[name] = "Choose one of the list."
            chosen[name] = ""
    if dose is not None and not chosen["unit"]:
        wrong.setdefault("unit", "Choose the unit of the dose.")
    if not chosen["times"] and not text["note"] and "times" not in wrong:
        wrong["times"] = "Say how often, or write it as an instruction."
    needed = form.get("needed") == "1" or bool(text["needed_for"])
    line = Line(
        medication[:_LONGEST], dose, chosen["unit"], chosen["route"], chosen["times"], length,
        chosen["length_unit"] or "d", needed, text["needed_for"][:_LONGEST], text["note"][:_LONGEST],
    )  # fmt: skip
    return line, wrong


def _dose(text: str, wrong: dict[str, str]) -> Decimal | None:
    if not text.strip():
        return None
    try:
        found = number(text)
    except ValueError:
        wrong["dose"] = "Write a number, such as 37.5."
        return None
    if not Decimal(0) < found <= 100_000:
        wrong["dose"] = "This value is not possible."
        return None
    return found


def _length(text: str, wrong: dict[str, str]) -> int | None:
    if not text.strip():
        return None
    try:
        found = number(text)
    except ValueError:
        found = Decimal(0)
    if found != found.to_integral_value() or not 1 <= found <= 999:
        wrong["length"] = "Write a whole number from 1."
        return None
    return int(found)


def dosage(line: Line, language: str) -> Resource:
    """The Dosage of a line; its text is in the patient's language."""
    found: Resource = {"text": sentence(line, language)}
    repeat: Resource = dict(TIMES[line.times][1]) if line.times else {}
    if line.length is not None:
        bounds = {
            "value": line.length,
            "unit": DURATIONS[line.length_unit][2],
            "system": UCUM,
            "code": line.length_unit,
        }
        repeat = {"boundsDuration": bounds, **repeat}
    if repeat:
        found["timing"] = {"repeat": repeat}
    if line.needed_for:
        found["asNeededCodeableConcept"] = {"text": line.needed_for}
    elif line.needed:
        found["asNeededBoolean"] = True
    if line.note:
        found["patientInstruction"] = line.note
    if line.route:
        found["route"] = concept(TERMINOLOGY + "v3-RouteOfAdministration", line.route, ROUTES[line.route][1])
    if line.dose is not None and line.unit:
        found["doseAndRate"] = [{"doseQuantity": _quantity(line.dose, line.unit)}]
    return found


def supply(line: Line) -> Resource | None:
    """How much is needed in all, of what can be counted out; None where that cannot be known."""
    if line.dose is None or line.length is None or line.needed or not line.unit or not UNITS[line.unit][3]:
        return None
    repeat = TIMES[line.times][1] if line.times else {}
    if "period" not in repeat:
        return None
    hours = Decimal(line.length * _HOURS[line.length_unit])
    doses = hours / (repeat["period"] * _HOURS[repeat["periodUnit"]]) * repeat["frequency"]
    total = (line.dose * doses.to_integral_value(ROUND_UP)).to_integral_value(ROUND_UP)
    return {"quantity": _quantity(total, line.unit)}


def sentence(line: Line, language: str) -> str:
    """How the medicine is taken, for the patient: `1 comprimé, par voie orale, 2 fois par jour, pendant 7 jours`."""

    def say(text: str) -> str:
        return texts.translate(language, "doctor", text)

    parts = []
    if line.dose is not None and line.unit:
        parts.append(amount(line.dose, line.unit, language))
    if line.route:
        parts.append(say(ROUTES[line.route][0]))
    if line.times:
        parts.append(say(TIMES[line.times][0]))
    if line.length is not None:
        one, many, _, _ = DURATIONS[line.length_unit]
        parts.append(texts.count_in(language, "doctor", one, many, line.length))
    if line.needed_for:
        parts.append(texts.translate(language, "doctor", "if needed: %(why)s", why=line.needed_for))
    elif line.needed:
        parts.append(say("if needed"))
    taken = ("، " if language == "ar" else ", ").join(parts)
    return f"{taken}. {line.note}" if taken and line.note else taken or line.note


def amount(value: Decimal, unit: str, language: str) -> str:
    """A dose with its unit: `1,5 comprimé`."""
    one, many, _, _ = UNITS[unit]
    shown = format_decimal(value, locale=_LOCALES.get(language, language))
    # One and a half is one in French; in English it is many.
    count = 2 if language == "en" and value > 1 else max(int(value), 1)
    return texts.count_in(language, "doctor", one, many, count, dose=shown)


def shown(request: Mapping[str, Any]) -> str:
    """How a MedicationRequest is taken, for who reads the page: of what this room wrote, in the language of the page;
    otherwise as it was written."""
    written = " ".join(str(each.get("text", "")) for each in request.get("dosageInstruction", ())).strip()
    fields = fields_of(request)
    if not fields.get("times") or len(request.get("dosageInstruction", ())) != 1:
        return written
    line, wrong = read({**fields, "medication": "-"})
    return written if wrong else sentence(line, texts.language())


def amount_of(language: str, quantity: Mapping[str, Any]) -> str:
    """A quantity that this room wrote, in a language; another one as it stands."""
    unit = next((name for name, known in UNITS.items() if known[2] == quantity.get("code")), "")
    if not unit:
        return f"{quantity.get('value', '')} {quantity.get('unit', '')}".strip()
    return amount(Decimal(str(quantity["value"])), unit, language)


def fields_of(request: Mapping[str, Any]) -> dict[str, str]:
    """The form's fields for a MedicationRequest, as far as they can say its Dosage; the rest becomes the note."""
    given: Resource = next(iter(request.get("dosageInstruction", ())), {})
    found: dict[str, str] = {}
    rate: Resource = next(iter(given.get("doseAndRate", ())), {})
    quantity = rate.get("doseQuantity", {})
    unit = next((name for name, known in UNITS.items() if known[2] == quantity.get("code")), "")
    if unit and "value" in quantity:
        found |= {"dose": str(quantity["value"]), "unit": unit}
    route = next((str(each.get("code")) for each in given.get("route", {}).get("coding", ())), "")
    if route in ROUTES:
        found["route"] = route
    repeat = dict(given.get("timing", {}).get("repeat", {}))
    bounds = repeat.pop("boundsDuration", {})
    if bounds.get("code") in DURATIONS:
        found |= {"length": str(bounds.get("value", "")), "length_unit": str(bounds["code"])}
    times = next((name for name, (_, known) in TIMES.items() if known == repeat), "")
    if times:
        found["times"] = times
    if given.get("asNeededBoolean"):
        found["needed"] = "1"
    if "asNeededCodeableConcept" in given:
        found |= {"needed": "1", "needed_for": str(given["asNeededCodeableConcept"].get("text", ""))}
    note = given.get("patientInstruction") or ("" if times else given.get("text", ""))
    return {**found, "note": str(note)} if note else found


def _quantity(value: Decimal, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": UNITS[unit][2]}
