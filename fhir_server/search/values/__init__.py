"""How FHIR data types become index rows: one file per search parameter type."""

from collections.abc import Sequence
from typing import Any

from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.values import date, number, quantity, reference, string, token, uri
from fhir_server.search.values.leaf import Leaf

_EMITTERS = {
    "token": token.emitter,
    "string": string.emitter,
    "uri": uri.emitter,
    "reference": reference.emitter,
    "date": date.emitter,
    "number": number.emitter,
    "quantity": quantity.emitter,
    "special": number.near,
}
TYPES = frozenset(_EMITTERS)


def emitter(param_type: str, leaves: Sequence[Leaf], fhir_type: str) -> Emit:
    """The emitter of parameters of one search type at elements of one FHIR type.

    A value that the search type cannot index still counts as present, so that `:missing` answers for the element.
    """
    if fhir_type == "Extension":
        return _extension(param_type, leaves)
    make = _EMITTERS.get(param_type)
    emit = make(leaves, fhir_type) if make else None
    if emit is not None and param_type == "reference":
        return emit
    present = [leaf.present for leaf in leaves]

    def mark(value: Any, rows: IndexRows, base: str) -> None:
        rows.keys.extend(present)
        if emit is not None:
            emit(value, rows, base)

    return mark


def indexes(param_type: str, fhir_type: str) -> bool:
    """Whether parameters of the search type give rows for values of the FHIR type."""
    if fhir_type == "Extension" or param_type == "reference":
        return fhir_type in ("Extension", "Reference", "canonical", "uri", "url")
    make = _EMITTERS.get(param_type)
    return make is not None and make([Leaf("", "")], fhir_type) is not None


def _extension(param_type: str, leaves: Sequence[Leaf]) -> Emit:
    """A parameter whose expression stops at an extension means the extension's value."""
    by_name: dict[str, Emit] = {}

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        for name, inner in value.items():
            if name.startswith("value") and len(name) > 5:
                if name not in by_name:
                    by_name[name] = emitter(param_type, leaves, _type_of(name[5:]))
                by_name[name](inner, rows, base)

    return emit


_PRIMITIVES = frozenset(
    {
        "Base64Binary", "Boolean", "Canonical", "Code", "Date", "DateTime", "Decimal", "Id", "Instant", "Integer",
        "Markdown", "Oid", "PositiveInt", "String", "Time", "UnsignedInt", "Uri", "Url", "Uuid",
    }
)  # fmt: skip


def _type_of(suffix: str) -> str:
    return suffix[0].lower() + suffix[1:] if suffix in _PRIMITIVES else suffix
