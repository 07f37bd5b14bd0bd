"""Required bindings of CodeableConcept and Coding. Those of code elements are in the schema.

https://hl7.org/fhir/R4/terminologies.html#required
"""

from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.validation.issues import rule_of
from fhir_server.validation.walk import Path, Rule, Visit, Walk


def _on_element(registry: Registry, structure: Structure, element: Element) -> Visit | None:
    if element.type not in ("CodeableConcept", "Coding") or not element.binding or element.binding[0] != "required":
        return None
    codes, url = registry.codes(element.binding[1]), element.binding[1]
    if codes is None:
        return None
    listed = ", ".join(sorted(code for _, code in codes)[:12]) + (", ..." if len(codes) > 12 else "")
    text = f"'{element.name}' must have a coding from {url} ({listed})."
    rule = rule_of(element.path)
    coded = element.type == "Coding"

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        for coding in (value,) if coded else value.get("coding", ()):
            if (coding.get("system"), coding.get("code")) in codes:
                return
        # No code at all, but a reason in an extension (data-absent-reason), is a stated gap and not a wrong code.
        if "extension" not in value:
            walk.fail(path, "code-invalid", text, rule=rule)

    return visit


BINDINGS = Rule("bindings", on_element=_on_element)
