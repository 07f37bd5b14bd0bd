"""urn:oid: and urn:uuid: URIs in their form: best practice, told to who asks.

https://hl7.org/fhir/R4/datatypes.html#uri
"""

import re
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.validation.walk import Path, Rule, Visit, Walk

# By the beginning of a urn: the whole of it.
FORMS = {
    "urn:uuid:": re.compile(r"urn:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"),
    "urn:oid:": re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+\Z"),
}
_TYPES = frozenset({"uri", "url", "canonical"})


def _visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
    if value is None or not value.startswith("urn:"):
        return
    for start, form in FORMS.items():
        if value.startswith(start) and not form.match(value.partition("|")[0]):
            walk.fail(path, "value", f"This does not have the form of a {start[:-1]}.", "warning", start[4:-1])


def _on_element(registry: Registry, structure: Structure, element: Element) -> Visit | None:
    return _visit if element.type in _TYPES else None


URIS = Rule("uris", on_element=_on_element)
