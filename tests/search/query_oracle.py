"""A second, slow opinion about search: resources made at random, and what R4 says a parameter matches, by plain code.

Written from https://hl7.org/fhir/R4/search.html without the engine's index, SQL or date code.
"""

import random
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

LOINC, LOCAL, UCUM = "http://loinc.org", "http://local.example", "http://unitsofmeasure.org"
CODES = [(LOINC, "1-1"), (LOINC, "2-2"), (LOCAL, "1-1"), (LOCAL, "x,y"), ("", "bare"), (LOCAL, "a|b")]
NAMES = ["Ann", "ann", "Anna", "Ánna", "Bob", "Bobby", "bo", "Zoë", "zoe", "O'Brien", "van der Berg", "علي"]
DATES = [
    "2020", "2021", "2020-01", "2020-06", "2021-02", "2020-01-31", "2020-02-29", "2020-06-15", "2021-02-28",
    "2020-06-15T10:00:00Z", "2020-06-15T10:00:00.500Z", "2020-06-15T12:00:00+02:00", "2020-06-14T23:30:00-02:00",
    "2021-12-31T23:59:59Z", "2019-12-31T23:59:59.999Z",
]  # fmt: skip
UNITS = [(UCUM, "mg", "mg"), (UCUM, "g", "g"), (UCUM, "mmol/L", "mmol/L"), (LOCAL, "drop", "drops"), (None, None, "ml")]
AMOUNTS = ["0.5", "1", "1.0", "1.00", "5.4", "5.40", "5.35", "5.45", "10", "99.5", "100", "100.4", "100.5", "1000"]
FOREVER = datetime.max.replace(tzinfo=UTC)
NEVER = datetime.min.replace(tzinfo=UTC)

Resource = dict[str, Any]


def make(rng: random.Random, count: int) -> list[Resource]:
    """`count` patients with some organizations, observations, encounters and risk assessments that refer to them."""
    organizations = [{"resourceType": "Organization", "id": f"o{i}", "name": rng.choice(NAMES)} for i in range(5)]
    patients = [_patient(rng, i) for i in range(count)]
    others = [_observation(rng, i, count) for i in range(count * 2)]
    others += [_encounter(rng, i, count) for i in range(count)]
    others += [_risk(rng, i, count) for i in range(count // 2)]
    return [*organizations, *patients, *others]


def _some(rng: random.Random, chance: float = 0.7) -> bool:
    return rng.random() < chance


def _coding(rng: random.Random) -> Resource:
    system, code = rng.choice(CODES)
    return {"code": code, **({"system": system} if system else {})}


def _patient(rng: random.Random, i: int) -> Resource:
    out: Resource = {"resourceType": "Patient", "id": f"p{i}"}
    if _some(rng, 0.9):
        out["name"] = [
            {"family": rng.choice(NAMES), "given": rng.sample(NAMES, rng.randint(1, 2))}
            for _ in range(rng.randint(1, 2))
        ]
    if _some(rng):
        out["gender"] = rng.choice(["male", "female", "other", "unknown"])
    if _some(rng):
        out["birthDate"] = rng.choice(DATES[:9])
    if _some(rng, 0.5):
        out["active"] = _some(rng, 0.5)
    if _some(rng, 0.5):
        out["managingOrganization"] = {"reference": f"Organization/o{rng.randrange(5)}"}
    if _some(rng, 0.6):
        out["identifier"] = [
            {"value": str(rng.randrange(6)), **({"system": LOCAL} if _some(rng, 0.5) else {})}
            for _ in range(rng.randint(1, 2))
        ]
    if _some(rng, 0.3):
        out["meta"] = {"tag": [_coding(rng)]}
    return out


def _period(rng: random.Random) -> Resource:
    start, end = sorted(rng.sample(DATES, 2), key=lambda text: span(text)[0])
    return {k: v for k, v in (("start", start), ("end", end)) if _some(rng, 0.8)} or {"start": start}


def _observation(rng: random.Random, i: int, patients: int) -> Resource:
    out: Resource = {
        "resourceType": "Observation",
        "id": f"b{i}",
        "status": rng.choice(["final", "amended", "preliminary"]),
        "code": {"coding": [_coding(rng) for _ in range(rng.randint(1, 2))]},
    }
    if _some(rng):
        target = rng.choice([f"Patient/p{rng.randrange(patients)}", f"Group/g{rng.randrange(3)}"])
        out["subject"] = {"reference": target}
    if _some(rng):
        if _some(rng, 0.6):
            out["effectiveDateTime"] = rng.choice(DATES)
        else:
            out["effectivePeriod"] = _period(rng)
    if _some(rng, 0.6):
        out["valueQuantity"] = _quantity(rng)
    elif _some(rng, 0.5):
        out["valueCodeableConcept"] = {"coding": [_coding(rng)]}
    if _some(rng, 0.3):
        out["component"] = [{"code": {"coding": [_coding(rng)]}, "valueQuantity": _quantity(rng)} for _ in range(2)]
    return out


def _quantity(rng: random.Random) -> Resource:
    system, code, unit = rng.choice(UNITS)
    out: Resource = {"value": Decimal(rng.choice(AMOUNTS)), "unit": unit}
    if system:
        out |= {"system": system, "code": code}
    if _some(rng, 0.1):
        out["comparator"] = rng.choice(["<", "<=", ">=", ">"])
    return out


def _encounter(rng: random.Random, i: int, patients: int) -> Resource:
    out: Resource = {
        "resourceType": "Encounter",
        "id": f"e{i}",
        "status": rng.choice(["planned", "finished"]),
        "class": _coding(rng),
        "subject": {"reference": f"Patient/p{rng.randrange(patients)}"},
    }
    if _some(rng):
        out["period"] = _period(rng)
    return out


def _risk(rng: random.Random, i: int, patients: int) -> Resource:
    out: Resource = {
        "resourceType": "RiskAssessment",
        "id": f"r{i}",
        "status": "final",
        "subject": {"reference": f"Patient/p{rng.randrange(patients)}"},
    }
    predictions = []
    for _ in range(rng.randint(0, 2)):
        low, high = sorted(rng.sample([0, 1, 5, 10, 50], 2))
        if _some(rng, 0.7):
            predictions.append({"probabilityDecimal": Decimal(rng.choice(AMOUNTS[:9]))})
        else:
            predictions.append({"probabilityRange": {"low": {"value": low}, "high": {"value": high}}})
    return out | ({"prediction": predictions} if predictions else {})


# -- values of a parameter ---------------------------------------------------------------------------------------------


def span(text: str) -> tuple[datetime, datetime]:
    """First instant and the first one after, of a FHIR date or dateTime in UTC unless it says otherwise."""
    if "T" not in text:
        parts = [int(p) for p in text.split("-")]
        start = datetime(*(parts + [1, 1])[:3], tzinfo=UTC)
        if len(parts) == 1:
            return start, start.replace(year=start.year + 1)
        if len(parts) == 2:
            return start, (start + timedelta(days=32)).replace(day=1)
        return start, start + timedelta(days=1)
    start = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    width = timedelta(milliseconds=1) if "." in text else timedelta(seconds=1)
    return start, start + width


def period_span(period: Resource) -> tuple[datetime, datetime]:
    """A period's instants; an open end lasts for ever."""
    return (
        span(period["start"])[0] if "start" in period else NEVER,
        span(period["end"])[1] if "end" in period else FOREVER,
    )


def dates(resource: Resource, code: str) -> list[tuple[datetime, datetime]]:
    """Values of `date` and `birthdate`."""
    if code == "birthdate":
        return [span(resource["birthDate"])] if "birthDate" in resource else []
    if "effectiveDateTime" in resource:
        return [span(resource["effectiveDateTime"])]
    period = resource.get("effectivePeriod") or resource.get("period")
    return [period_span(period)] if period else []


def tokens(resource: Resource, code: str) -> list[tuple[str | None, str]]:
    """(system, code) values; the system of a bare code is None, of a coding without system ''."""
    if code in ("status", "gender"):
        return [(None, resource[code])] if code in resource else []
    if code == "active":
        return [(None, "true" if resource["active"] else "false")] if "active" in resource else []
    if code == "identifier":
        return [(each.get("system", ""), each["value"]) for each in resource.get("identifier", ())]
    if code == "_tag":
        return _codings(resource.get("meta", {}).get("tag", ()))
    if code == "class":
        return _codings([resource["class"]])
    if code == "value-concept":
        return _codings(resource.get("valueCodeableConcept", {}).get("coding", ()))
    if code == "combo-code":
        parts = [part["code"]["coding"] for part in resource.get("component", ())]
        return tokens(resource, "code") + [coding for part in parts for coding in _codings(part)]
    return _codings(resource.get("code", {}).get("coding", ()))


def _codings(codings: Sequence[Resource]) -> list[tuple[str | None, str]]:
    return [(each.get("system", ""), each["code"]) for each in codings]


def strings(resource: Resource, code: str) -> list[str]:
    """Texts of `name`, `family` and `given`."""
    if resource["resourceType"] == "Organization":
        return [resource["name"]]
    found = []
    for name in resource.get("name", ()):
        if code in ("name", "family"):
            found.append(name["family"])
        if code in ("name", "given"):
            found.extend(name["given"])
    return found


def references(resource: Resource, code: str) -> list[str]:
    """Targets as `Type/id`."""
    if code == "organization":
        value = resource.get("managingOrganization")
    else:
        value = resource.get("subject")
    if not value or (code == "patient" and not value["reference"].startswith("Patient/")):
        return []
    return [value["reference"]]


Amount = tuple[Decimal | None, Decimal | None, str | None, str | None, str | None]


def amounts(resource: Resource, code: str) -> list[Amount]:
    """(low, high, system, code, unit) of quantities and numbers; None is an open end."""
    if code == "probability":
        return [_probability(each) for each in resource.get("prediction", ())]
    quantities = [resource["valueQuantity"]] if "valueQuantity" in resource else []
    if code == "combo-value-quantity":
        quantities += [part["valueQuantity"] for part in resource.get("component", ())]
    return [amount_of(each) for each in quantities]


def _probability(prediction: Resource) -> Amount:
    if "probabilityDecimal" in prediction:
        return prediction["probabilityDecimal"], prediction["probabilityDecimal"], None, None, None
    limits = prediction["probabilityRange"]
    return Decimal(limits["low"]["value"]), Decimal(limits["high"]["value"]), None, None, None


def amount_of(quantity: Resource) -> Amount:
    """A Quantity with its comparator as an interval."""
    value, comparator = quantity["value"], quantity.get("comparator", "")
    low = None if "<" in comparator else value
    high = None if ">" in comparator else value
    return low, high, quantity.get("system"), quantity.get("code"), quantity.get("unit")


# -- what matches ------------------------------------------------------------------------------------------------------

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


def split_prefix(text: str) -> tuple[str, str]:
    """Prefix and rest of a value."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def date_matches(values: Sequence[tuple[datetime, datetime]], text: str) -> bool:
    """https://hl7.org/fhir/R4/search.html#prefix on ranges."""
    op, rest = split_prefix(text)
    a, b = span(rest)
    inside = [a <= lo and hi <= b for lo, hi in values]
    rules: dict[str, Callable[[datetime, datetime], bool]] = {
        "gt": lambda lo, hi: hi > b,
        "lt": lambda lo, hi: lo < a,
        "sa": lambda lo, hi: lo >= b,
        "eb": lambda lo, hi: hi <= a,
    }
    if op == "eq":
        return any(inside)
    if op == "ne":
        return any(not each for each in inside)
    if op in ("ge", "le"):
        strict = rules["gt" if op == "ge" else "lt"]
        return any(strict(lo, hi) or same for (lo, hi), same in zip(values, inside, strict=True))
    return any(rules[op](lo, hi) for lo, hi in values)


def amount_matches(values: Sequence[Amount], text: str) -> bool:
    """number and quantity with prefix, unit and implicit precision."""
    number, _, unit = text.partition("|")
    op, digits = split_prefix(number)
    wanted = Decimal(digits)
    system, _, code = unit.partition("|")
    for low, high, own_system, own_code, own_unit in values:
        factor = Decimal(1)
        if unit and not system and own_system != UCUM:
            if code not in (own_code, own_unit):
                continue
        elif unit and own_system == UCUM and system in ("", UCUM) and {own_code, code} <= {"mg", "g"}:
            factor = {("g", "mg"): Decimal(1000), ("mg", "g"): Decimal("0.001")}.get((own_code, code), Decimal(1))
        elif unit and (own_system, own_code) != (system or UCUM, code):
            continue
        if _compare(op, low, high, wanted, factor):
            return True
    return False


def _compare(op: str, low: Decimal | None, high: Decimal | None, wanted: Decimal, factor: Decimal) -> bool:
    lo = Decimal("-Infinity") if low is None else low * factor
    hi = Decimal("Infinity") if high is None else high * factor
    step = Decimal(1).scaleb(int(wanted.as_tuple().exponent)) / 2
    inside = wanted - step <= lo and hi < wanted + step
    return {
        "eq": inside,
        "ne": not inside,
        "gt": hi > wanted,
        "lt": lo < wanted,
        "ge": hi >= wanted,
        "le": lo <= wanted,
        "sa": lo > wanted,
        "eb": hi < wanted,
    }[op]


def token_matches(values: Sequence[tuple[str | None, str]], system: str | None, code: str) -> bool:
    """`code` (system None), `|code` (system ''), `system|code`, `system|` (code '')."""
    if system is None:
        return any(own == code for _, own in values)
    return any(own_system == system and code in ("", own) for own_system, own in values)


def fold(text: str) -> str:
    """Text as strings are compared: no case, no accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))


def string_matches(values: Sequence[str], text: str, modifier: str) -> bool:
    """starts with, `exact`, `contains`."""
    if modifier == "exact":
        return text in values
    if modifier == "contains":
        return any(fold(text) in fold(value) for value in values)
    return any(fold(value).startswith(fold(text)) for value in values)
