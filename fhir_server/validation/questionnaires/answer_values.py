"""One answer against the question's type, options and bounds. Pure.

https://hl7.org/fhir/R4/valueset-item-type.html
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fhir_server.core.dates import parse_range, parse_time
from fhir_server.core.references import parse_literal
from fhir_server.validation.facets import facets

Json = Mapping[str, Any]

_MIN_VALUE = "http://hl7.org/fhir/StructureDefinition/minValue"
_MAX_VALUE = "http://hl7.org/fhir/StructureDefinition/maxValue"
_UNIT_OPTION = "http://hl7.org/fhir/StructureDefinition/questionnaire-unitOption"
_REFERENCE_RESOURCE = "http://hl7.org/fhir/StructureDefinition/questionnaire-referenceResource"
# The properties that answer an item, by the item's type.
TYPES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal",),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": ("valueCoding",),
    "open-choice": ("valueCoding", "valueString"),
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}


def problems(definition: Json, answer: Json) -> Iterator[tuple[str, str, str]]:
    """(element below the answer, what is wrong with it, issue code) of one answer."""
    name = value_name(answer)
    if name is None:
        yield "", "has an answer without a value.", "required"
        return
    options = [option for option in definition.get("answerOption", ()) if value_name(option)]
    kinds = TYPES.get(definition.get("type", ""), ())
    if options and definition.get("type") == "choice":
        kinds = tuple(dict.fromkeys(value_name(option) or "" for option in options))
    if name not in kinds:
        yield name, f"takes {' or '.join(kinds)}, not {name}.", "value"
        return
    free = definition.get("type") == "open-choice" and name == "valueString"
    if options and not free and not any(equal(name, answer[name], option.get(name)) for option in options):
        yield name, "takes one of the options that it offers.", "code-invalid"
    yield from _bounds(definition, name, answer[name])
    yield from _choices(definition, name, answer[name])


def _bounds(definition: Json, name: str, value: Any) -> Iterator[tuple[str, str, str]]:
    for url, sign, word in ((_MIN_VALUE, -1, "at least"), (_MAX_VALUE, 1, "at most")):
        bound = next(iter(extensions(definition, url)), None)
        if bound is None:
            continue
        order = compared(name, value, bound)
        if order is None:
            yield name, "cannot be compared with the bound that the questionnaire sets (units or precision).", "value"
        elif order == sign:
            yield name, f"must be {word} {_shown(bound)}.", "business-rule"
    if isinstance(value, str):
        most = definition.get("maxLength")
        if most is not None and len(value) > most:
            yield name, f"takes at most {most} characters.", "too-long"
    for test, code in facets(definition.get("extension", ())):
        problem = test(value)
        if problem is not None:
            yield name, f"{problem}.", code


def _choices(definition: Json, name: str, value: Any) -> Iterator[tuple[str, str, str]]:
    """The units of a quantity and the types of a reference that a question offers."""
    units = [(each.get("system"), each.get("code")) for each in extensions(definition, _UNIT_OPTION)]
    if units and name == "valueQuantity" and (value.get("system"), value.get("code")) not in units:
        yield name, f"takes a unit of {', '.join(str(code) for _, code in units)}.", "code-invalid"
    types = extensions(definition, _REFERENCE_RESOURCE)
    literal = parse_literal(value.get("reference", "")) if types and name == "valueReference" else None
    if literal is not None and literal.type not in types:
        yield name, f"refers to {' or '.join(types)}, not to {literal.type}.", "value"


def value_name(element: Json, prefix: str = "value") -> str | None:
    """The property that holds the choice `prefix`[x], without which there is no value."""
    return next((name for name in element if name.startswith(prefix) and name[len(prefix) :][:1].isupper()), None)


def limit(definition: Json, url: str) -> int | None:
    """The whole number of an extension of the item."""
    value = next(iter(extensions(definition, url)), None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def equal(name: str, one: Any, other: Any) -> bool:
    """Whether two values of the type that the property `name` says are the same answer."""
    if one is None or other is None:
        return False
    if name.endswith("Coding"):
        return (one.get("system"), one.get("code")) == (other.get("system"), other.get("code"))
    if name.endswith("Reference"):
        return bool(one.get("reference")) and one.get("reference") == other.get("reference")
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    order = compared(name, one, other)
    return bool(one == other) if order is None else order == 0


def compared(name: str, one: Any, other: Any) -> int | None:
    """-1, 0 or 1; None where the values have no order: texts, codes, quantities in different units."""
    try:
        left, right = _ordered(name, one), _ordered(name, other)
    except (ValueError, TypeError, ArithmeticError):
        return None
    if left is None or right is None or left[0] != right[0]:
        return None
    return (left[1] > right[1]) - (left[1] < right[1])


def _ordered(name: str, value: Any) -> tuple[Any, Decimal] | None:
    """(what only equals can be compared in, number)."""
    if name.endswith(("Date", "DateTime")):
        return "time", Decimal(parse_range(value)[0])
    if name.endswith("Time"):
        return "time", Decimal(parse_time(value)[0])
    if name.endswith(("Integer", "Decimal")) and not isinstance(value, bool):
        return "number", Decimal(value)
    if name.endswith("Quantity") and "value" in value and "comparator" not in value:
        return (value.get("system"), value.get("code"), value.get("unit") if "code" not in value else None), Decimal(
            value["value"]
        )
    return None


def extensions(element: Json, url: str) -> list[Any]:
    """The values of the extensions of that url."""
    held = [each for each in element.get("extension", ()) if each.get("url") == url]
    return [each[name] for each in held if (name := value_name(each)) is not None]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value.get('value')} {value.get('unit') or value.get('code') or ''}".strip()
    return str(value)
