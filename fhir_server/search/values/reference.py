"""Reference parameters: the hash of the target, and compartment membership.

https://hl7.org/fhir/R4/search.html#reference. A contained resource is no target; `:identifier` finds by identifier.
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.keys import compartment_key, key64, patient_key, target_key
from fhir_server.core.references import parse_literal
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.values.leaf import Leaf


def emitter(leaves: Sequence[Leaf], fhir_type: str) -> Emit | None:
    """The emitter of reference parameters for Reference, canonical, uri or a resource in place; else None.

    It also puts the keys that say a value is present, because `where(resolve() is X)` decides by the value.
    """
    if fhir_type == "Reference":
        return _reference(leaves)
    if fhir_type in ("canonical", "uri", "url"):
        return _canonical(leaves)
    return None if fhir_type[0].islower() else _resource(leaves)


def local_target(text: str, base: str) -> tuple[str, str | None, str | None]:
    """(text that is indexed, target type, id when the target is of this tenant) of a reference's text."""
    literal = parse_literal(text)
    if literal is None:
        return text, None, None
    if literal.base is None or literal.base == base + "/":
        return literal.local, literal.type, literal.id
    return f"{literal.base}{literal.local}", literal.type, None


def _reference(leaves: Sequence[Leaf]) -> Emit:
    params = [(leaf, leaf.param, leaf.prefix(), leaf.present) for leaf in leaves]
    identifier = _identifier(leaves)

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        text, form, kind, local_id, target = value.get("reference"), "", None, None, 0
        if text and text[0] != "#":
            form, kind, local_id = local_target(text, base)
            target = target_key(form)
        kind = kind or value.get("type")
        for leaf, param, prefix, present in params:
            if leaf.resolves_to and leaf.resolves_to != kind:
                continue
            rows.keys.append(present)
            if form:
                rows.references.append((param, target))
                rows.keys.append(key64(prefix + form))
            if local_id is not None and kind in leaf.compartments:
                rows.tokens.append(compartment_key(kind, local_id, leaf.resource_type))
                if kind == "Patient":
                    rows.keys.append(patient_key(local_id))
                    rows.records.append(rows.tokens[-1])
        if "identifier" in value:
            identifier(value, kind, rows)

    return emit


def _identifier(leaves: Sequence[Leaf]) -> Any:
    params = [(leaf.resolves_to, leaf.prefix(":identifier")) for leaf in leaves]

    def emit(value: Any, kind: str | None, rows: IndexRows) -> None:
        identifier = value["identifier"]
        system, text = identifier.get("system") or "", identifier.get("value")
        for resolves_to, prefix in params:
            if resolves_to and resolves_to != kind:
                continue
            if system:
                rows.keys.append(key64(f"{prefix}{system}|"))
            if text:
                rows.tokens.append(key64(prefix + text))
                rows.tokens.append(key64(f"{prefix}{system}|{text}"))

    return emit


def _canonical(leaves: Sequence[Leaf]) -> Emit:
    params = [(leaf.param, leaf.prefix(), leaf.present) for leaf in leaves if leaf.resolves_to is None]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        text = str(value)
        rows.keys.extend([present for _, _, present in params])
        if not text or text[0] == "#":
            return
        url, _, version = text.partition("|")
        for param, prefix, _ in params:
            for form in (url, text) if version else (url,):
                rows.references.append((param, target_key(form)))
                rows.keys.append(key64(prefix + form))

    return emit


def _resource(leaves: Sequence[Leaf]) -> Emit:
    params = [(leaf.param, leaf.prefix(), leaf.present) for leaf in leaves]

    def emit(value: Any, rows: IndexRows, base: str) -> None:
        rows.keys.extend([present for _, _, present in params])
        if isinstance(value, dict) and "resourceType" in value and "id" in value:
            form = f"{value['resourceType']}/{value['id']}"
            for param, prefix, _ in params:
                rows.references.append((param, target_key(form)))
                rows.keys.append(key64(prefix + form))

    return emit
