"""String parameters: normalised rows for prefix search, exact keys for `:exact`.

https://hl7.org/fhir/R4/search.html#string. A HumanName or Address gives one row per part: a prefix of any part matches.
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.keys import key64
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.text import normalize
from fhir_server.search.values.leaf import Leaf

_PARTS = {
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
    "Address": ("text", "line", "city", "district", "state", "postalCode", "country"),
    "CodeableConcept": ("text",),
    "Annotation": ("text",),
    "ContactPoint": ("value",),
}


def emitter(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of string parameters for a FHIR type; None when it holds no text."""
    if fhir_type in _PARTS:
        return _parts(leaves, _PARTS[fhir_type])
    return _text(leaves) if fhir_type[0].islower() else None


def _text(leaves: Sequence[Leaf]) -> Emit:
    params = [(leaf.param, leaf.prefix(":exact")) for leaf in leaves]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        text = value if type(value) is str else str(value)
        normalized = normalize(text)
        if normalized:
            for param, exact in params:
                rows.strings.append((param, normalized))
                rows.keys.append(key64(exact + text))

    return emit


def _parts(leaves: Sequence[Leaf], names: Sequence[str]) -> Emit:
    emit_text = _text(leaves)

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        for name in names:
            part = value.get(name)
            if part is None:
                continue
            for text in part if type(part) is list else (part,):
                if text is not None:
                    emit_text(text, rows, base)

    return emit
