"""Composite parameters: the parts of one element joined before they are hashed.

The forms are those of `fhir_server.search.types.composite`. https://hl7.org/fhir/R4/search.html#composite
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.core.keys import param_id, unit_key
from fhir_server.search.rows import IndexRows
from fhir_server.search.types.composite import date_param, pair_key, string_value
from fhir_server.search.values import date, number, quantity, reference, token

# (FHIR type, value) of each value of a part, read from the element and, for `%resource`, from the resource.
Read = Callable[[dict[str, Any], dict[str, Any]], list[tuple[str, Any]]]
Join = Callable[[dict[str, Any], dict[str, Any], IndexRows, str], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """One component: the type of its search parameter and how to read its values."""

    kind: str
    read: Read


def joiner(resource_type: str, code: str, parts: Sequence[Part]) -> Join | None:
    """Puts the rows of one element into the rows of its resource and says whether all parts had a value.

    None for a combination that is not indexed.
    """
    first = next((part for part in parts if part.kind == "token"), None)
    if first is None:
        return None
    others = [part for part in parts if part is not first]
    put = _PUTS.get(tuple(part.kind for part in others))
    if put is None:
        return None
    rest = [part.read for part in reversed(others)]

    def join(element: dict[str, Any], resource: dict[str, Any], rows: IndexRows, base: str) -> bool:
        # The last part is the rare one (a value of one type), so it is read first.
        values = []
        for read in rest:
            found = read(element, resource)
            if not found:
                return False
            values.append(found)
        forms = [form for kind, value in first.read(element, resource) for form in token.forms(kind, value)]
        if forms:
            put(resource_type, code, forms, values[::-1], rows, base)
        return bool(forms)

    return join


_Values = list[list[tuple[str, Any]]]


def _tokens(resource_type: str, code: str, forms: list[str], values: _Values, rows: IndexRows, base: str) -> None:
    for kind, value in values[0]:
        for other in token.forms(kind, value):
            rows.tokens.extend([pair_key(resource_type, code, form, other) for form in forms])


def _targets(resource_type: str, code: str, forms: list[str], values: _Values, rows: IndexRows, base: str) -> None:
    for _, value in values[0]:
        text = value.get("reference") if isinstance(value, dict) else str(value)
        if text and text[0] != "#":
            target = reference.local_target(text, base)[0]
            rows.tokens.extend([pair_key(resource_type, code, form, target) for form in forms])


def _quantities(resource_type: str, code: str, forms: list[str], values: _Values, rows: IndexRows, base: str) -> None:
    param = param_id(resource_type, code)
    for kind, value in values[0]:
        for form in forms:
            rows.quantities.extend([(param, *span) for span in quantity.spans(kind, value, form)])


def _numbers(resource_type: str, code: str, forms: list[str], values: _Values, rows: IndexRows, base: str) -> None:
    param = param_id(resource_type, code)
    for _, value in values[0]:
        low = number.span(value)
        for _, second in values[-1]:
            high = number.span(second)
            if low is not None and high is not None:
                rows.quantities.extend([(param, unit_key(None, None, form), low[0], high[1]) for form in forms])


def _strings(resource_type: str, code: str, forms: list[str], values: _Values, rows: IndexRows, base: str) -> None:
    param = param_id(resource_type, code)
    for _, value in values[0]:
        if isinstance(value, str):
            rows.strings.extend([(param, string_value(form, value)) for form in forms])


def _dates(resource_type: str, code: str, forms: list[str], values: _Values, rows: IndexRows, base: str) -> None:
    for kind, value in values[0]:
        span = date.span(kind, value)
        if span is not None:
            rows.dates.extend([(date_param(resource_type, code, form), *span) for form in forms])
            rows.keys.extend([pair_key(resource_type, code, form) for form in forms])


_PUTS = {
    ("token",): _tokens,
    ("reference",): _targets,
    ("uri",): _targets,
    ("quantity",): _quantities,
    ("number",): _numbers,
    ("number", "number"): _numbers,
    ("string",): _strings,
    ("date",): _dates,
}
