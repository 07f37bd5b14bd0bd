"""A resource in a few words, whatever its type: for a row of a list."""

from collections.abc import Mapping
from typing import Any

from ui.formats import coded, date_of, moment, money, person, quantity, short_reference, slim

# The elements by which people know a resource, the most telling first.
_TELLING = (
    "name", "title", "code", "vaccineCode", "medicationCodeableConcept", "type", "deviceName", "serviceType", "subject",
    "patient", "for", "beneficiary", "actor", "participant", "start", "date", "authoredOn", "effectiveDateTime",
    "recordedDate", "birthDate", "period", "valueQuantity", "totalGross", "description", "url",
)  # fmt: skip
_MOST = 4


def summary(resource: Mapping[str, Any]) -> list[str]:
    """Up to four short texts: what it is, of whom, when, how much."""
    found = []
    for name in _TELLING:
        if name in resource:
            told = _told(resource[name])
            if told:
                found.append(slim(told, 70))
        if len(found) == _MOST:
            break
    return found


def status(resource: Mapping[str, Any]) -> str:
    """Its status, in the code of FHIR; "" for none."""
    given = resource.get("status", resource.get("clinicalStatus", ""))
    if isinstance(given, dict):
        return coded(given)
    if given == "" and isinstance(resource.get("active"), bool):
        return "active" if resource["active"] else "inactive"
    return str(given)


def _told(value: Any) -> str:
    if isinstance(value, list):
        people = [each["actor"] for each in value if isinstance(each, dict) and isinstance(each.get("actor"), dict)]
        if people:
            named = [short_reference(each) for each in people if "display" in each]
            return ", ".join(named) or short_reference(people[0])
        return _told(value[0]) if value else ""
    if isinstance(value, str):
        is_time = len(value) >= 10 and value[:4].isdigit() and value[4:5] == "-"
        return (moment(value) if "T" in value else date_of(value)) if is_time else value
    if not isinstance(value, dict):
        return str(value)
    if "family" in value or "given" in value or "text" in value and "coding" not in value:
        return person(value)
    if "reference" in value:
        return short_reference(value)
    if "currency" in value:
        return money(value)
    if "start" in value or "end" in value:
        return " – ".join(_told(value[name]) for name in ("start", "end") if name in value)
    if "value" in value:
        return quantity(value)
    return coded(value) or str(value.get("name", ""))
