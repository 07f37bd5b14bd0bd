"""Expressions of the shapes that R4's constraints and search parameters have, each with a closure that somebody wrote by
hand for the same nodes. A closure knows R4's JSON, which the compiler does not: what is a list, what may be missing, and
that a primitive can have an extension instead of a value. It is the least there is.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_server.core.ucum import canonical
from fhir_server.fhirpath import Node, Nodes, temporal

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
    ],
    "telecom": [
        {"system": "phone", "value": "(03) 5555 6473", "use": "work", "rank": 1},
        {"system": "phone", "value": "(03) 3410 5613", "use": "mobile", "rank": 2},
        {"system": "email", "value": "peter@example.org", "use": "home"},
    ],
    "gender": "male",
    "birthDate": "1974-12-25",
    "contact": [{"name": {"family": "du Marché"}, "gender": "female"}],
    "managingOrganization": {"reference": "Organization/1"},
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-03-28",
    "valueQuantity": {"value": 72, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
}
PRESSURE: dict[str, Any] = {
    **OBSERVATION,
    "component": [
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}},
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}},
    ],
}
PERIOD: dict[str, Any] = {"start": "2026-03-01", "end": "2026-03-28"}
EXTENSION: dict[str, Any] = {"url": "http://example.org/size", "valueString": "large"}
QUESTION: dict[str, Any] = {"linkId": "1", "text": "Since when?", "type": "date"}
YES: Node = ("System.Boolean", True, None)
NO: Node = ("System.Boolean", False, None)


def _items(value: Any) -> list[Any]:
    return value if type(value) is list else [] if value is None else [value]


def _primitives(holder: dict[str, Any], name: str, kind: str, found: Nodes) -> None:
    value, beside = holder.get(name), holder.get("_" + name)
    if beside is None:
        if type(value) is list:
            for item in value:
                found.append((kind, item, None))
        elif value is not None:
            found.append((kind, value, None))
        return
    values, siblings = _items(value), _items(beside)
    for i in range(max(len(values), len(siblings))):
        each = values[i] if i < len(values) else None
        sibling = siblings[i] if i < len(siblings) else None
        if each is not None or sibling is not None:
            found.append((kind, each, sibling))


def _birth_date(patient: dict[str, Any]) -> Nodes:
    value, beside = patient.get("birthDate"), patient.get("_birthDate")
    return [] if value is None and beside is None else [("date", value, beside)]


def _given(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for name in patient.get("name", ()):
        _primitives(name, "given", "string", found)
    return found


def _phones(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for telecom in patient.get("telecom", ()):
        if telecom.get("system") == "phone":
            _primitives(telecom, "value", "string", found)
    return found


def _quantity(observation: dict[str, Any]) -> Nodes:
    value = observation.get("valueQuantity")
    return [] if value is None else [("Quantity", value, None)]


def _contacts(patient: dict[str, Any]) -> Nodes:
    for contact in patient.get("contact", ()):
        if not ("name" in contact or "telecom" in contact or "address" in contact or "organization" in contact):
            return [NO]
    return [YES]


def _official(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for name in patient.get("name", ()):
        if name.get("use") == "official":
            _primitives(name, "given", "string", found)
    return found[:1]


def _names(patient: dict[str, Any]) -> Nodes:
    found: Nodes = []
    for part in ("given", "family"):
        for name in patient.get("name", ()):
            _primitives(name, part, "string", found)
    kept, seen = [], set()
    for node in found:
        key = str(node[2]) if node[1] is None else node[1]
        if key not in seen:
            seen.add(key)
            kept.append(node)
    return kept


def _in_kilograms(observation: dict[str, Any]) -> Nodes:
    value = observation.get("valueQuantity")
    if value is None or value.get("value") is None:
        return []
    if value.get("code") == "kg":
        return [YES] if value["value"] > 50 else [NO]
    held, limit = canonical(value["value"], value.get("code") or value.get("unit") or "1"), canonical(Decimal(50), "kg")
    if held is None or limit is None or held[1] != limit[1]:
        return []
    return [YES] if held[0] > limit[0] else [NO]


def _mobile(patient: dict[str, Any]) -> Nodes:
    for telecom in patient.get("telecom", ()):
        if telecom.get("system") == "phone" and telecom.get("use") == "mobile":
            return [YES]
    return [NO]


def _letter(patient: dict[str, Any]) -> Nodes:
    return [("System.String", "M" if patient.get("gender") == "male" else "F", None)]


_MATCHES = re.compile(r"[A-Za-z0-9.-]{1,64}").search


def _id_matches(patient: dict[str, Any]) -> Nodes:
    value = patient.get("id")
    return [] if value is None else [YES] if _MATCHES(value) else [NO]


def _done(observation: dict[str, Any]) -> Nodes:
    value = observation.get("status")
    if value is None:
        return [NO] if "_status" in observation else []
    return [YES] if value in ("final", "amended") else [NO]


def _weighs(observation: dict[str, Any]) -> Nodes:
    for coding in observation.get("code", {}).get("coding", ()):
        if coding.get("code") == "29463-7":
            return [YES]
    return [NO]


def _amount(observation: dict[str, Any]) -> Nodes:
    quantity = observation.get("valueQuantity")
    if quantity is None:
        return []
    value, beside = quantity.get("value"), quantity.get("_value")
    return [] if value is None and beside is None else [("decimal", value, beside)]


# A value of a primitive type may have an extension only.
_VALUE = ("value", "_value")


def _has_value(holder: dict[str, Any]) -> bool:
    for key in holder:  # noqa: SIM110 (any and a generator cost twice as much)
        if key.startswith(_VALUE):
            return True
    return False


def _is_quantity(observation: dict[str, Any]) -> Nodes:
    for key in observation:
        if key.startswith(_VALUE):
            return [YES] if key == "valueQuantity" else [NO]
    return []


def _one_coding(observation: dict[str, Any]) -> Nodes:
    return [YES] if len(observation.get("code", {}).get("coding", ())) == 1 else [NO]


def _enough(observation: dict[str, Any]) -> Nodes:
    return [YES] if ("code" in observation) + ("subject" in observation) > 0 else [NO]


def _implied(observation: dict[str, Any]) -> Nodes:
    subject = observation.get("subject")
    if subject is not None and "reference" not in subject and "_reference" not in subject:
        return [NO]
    if _has_value(observation):
        return [YES]
    status = observation.get("status")
    if status is None:
        return [YES] if "_status" in observation else []
    return [NO] if status == "final" else [YES]


def _full_name(patient: dict[str, Any]) -> Nodes:
    names = patient.get("name", ())
    first: dict[str, Any] = names[0] if names else {}
    given = first.get("given")
    return [("System.String", f"{first.get('family') or ''}, {(given[0] or '') if given else ''}", None)]


def _of_patient(observation: dict[str, Any]) -> Nodes:
    subject = observation.get("subject")
    if subject is None:
        return []
    reference = subject.get("reference")
    found = None if reference is None else _LITERAL.match(reference)
    if found is not None:
        type_ = found["type"]
    elif reference is not None and reference.startswith("#"):
        type_ = _contained_type(observation, reference[1:])
    else:
        type_ = subject.get("type")
    return [("Reference", subject, None)] if type_ == "Patient" else []


_LITERAL = re.compile(r"(?:https?://.+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/.+)?\Z")


def _contained_type(holder: dict[str, Any], wanted: str) -> str | None:
    for each in holder.get("contained", ()):
        if each.get("id") == wanted:
            return str(each["resourceType"])
    return None


def _begins_before_end(period: dict[str, Any]) -> Nodes:
    start, end = period.get("start"), period.get("end")
    if start is None or end is None:
        return [YES]
    if len(start) == len(end) == 10:
        return [YES] if start <= end else [NO]
    order = temporal.compare(start, end, False)
    return [] if order is None else [YES] if order <= 0 else [NO]


def _either_part(extension: dict[str, Any]) -> Nodes:
    return [YES] if ("extension" in extension) is not _has_value(extension) else [NO]


def _with_system(contact: dict[str, Any]) -> Nodes:
    if "value" not in contact and "_value" not in contact:
        return [YES]
    return [YES] if "system" in contact or "_system" in contact else [NO]


def _codes(observation: dict[str, Any]) -> Nodes:
    found: list[Any] = [observation["code"]] if "code" in observation else []
    for component in observation.get("component", ()):
        code = component.get("code")
        if code is not None and code not in found:
            found.append(code)
    return [("CodeableConcept", each, None) for each in found]


def _no_reason(observation: dict[str, Any]) -> Nodes:
    return [NO] if "dataAbsentReason" in observation and _has_value(observation) else [YES]


def _not_display(item: dict[str, Any]) -> Nodes:
    if "code" not in item:
        return [YES]
    kind = item.get("type")
    if kind is None:
        return [YES] if "_type" in item else []
    return [NO] if kind == "display" else [YES]


class Row(NamedTuple):
    """An expression, what it is evaluated on, the same by hand. plain: a path and nothing else. type: of what has no
    resourceType."""

    expression: str
    focus: dict[str, Any]
    by_hand: Callable[[dict[str, Any]], Nodes]
    plain: bool = False
    type: str = ""


ROWS: tuple[Row, ...] = (
    Row("Patient.birthDate", PATIENT, _birth_date, plain=True),
    Row("Patient.name.given", PATIENT, _given, plain=True),
    Row("Observation.value.ofType(Quantity)", OBSERVATION, _quantity, plain=True),
    Row("Patient.telecom.where(system = 'phone').value", PATIENT, _phones),
    Row("Patient.name.where(use = 'official').given.first()", PATIENT, _official),
    Row(
        "Patient.contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())",
        PATIENT,
        _contacts,
    ),
    Row("Patient.name.given | Patient.name.family", PATIENT, _names),
    Row("Observation.value.ofType(Quantity) > 50 'kg'", OBSERVATION, _in_kilograms),
    Row("Patient.telecom.exists(system = 'phone' and use = 'mobile')", PATIENT, _mobile),
    Row("iif(gender = 'male', 'M', 'F')", PATIENT, _letter),
    Row("Patient.id.matches('[A-Za-z0-9.-]{1,64}')", PATIENT, _id_matches),
    Row("status in ('final' | 'amended')", OBSERVATION, _done),
    Row("Observation.code.coding.code contains '29463-7'", OBSERVATION, _weighs),
    Row("(Observation.value as Quantity).value", OBSERVATION, _amount),
    Row("Observation.value is Quantity", OBSERVATION, _is_quantity),
    Row("Observation.code.coding.count() = 1", OBSERVATION, _one_coding),
    Row("(code.count() + subject.count()) > 0", OBSERVATION, _enough),
    Row(
        "(status = 'final' implies value.exists()) and (subject.exists() implies subject.reference.exists())",
        OBSERVATION,
        _implied,
    ),
    Row("name.first().family & ', ' & name.first().given.first()", PATIENT, _full_name),
    Row("Observation.subject.where(resolve() is Patient)", OBSERVATION, _of_patient),
    Row("Observation.code | Observation.component.code", PRESSURE, _codes),
    Row("dataAbsentReason.empty() or value.empty()", OBSERVATION, _no_reason),
    Row("start.hasValue().not() or end.hasValue().not() or (start <= end)", PERIOD, _begins_before_end, type="Period"),
    Row("extension.exists() != value.exists()", EXTENSION, _either_part, type="Extension"),
    Row("value.empty() or system.exists()", PATIENT["telecom"][0], _with_system, type="ContactPoint"),
    Row("type!='display' or code.empty()", QUESTION, _not_display, type="Questionnaire.item"),
)
