"""The value set that an element of a definition is bound to: the `context` of $expand and $validate-code.

https://hl7.org/fhir/R4/valueset-operation-expand.html (context), https://hl7.org/fhir/R4/terminologies.html#binding
"""

import re
from typing import Any

from fhir_server.conformance.snapshot_sources import Find
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import Invalid, NotFound, Unprocessable

_PATH = re.compile(r"([A-Z]\w*)(\.\w+(?:\[x\])?)+")
_STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"
_AT = "http.context"


def bound(find: Find, context: str) -> str:
    """The canonical of the value set: `context` is the url of a StructureDefinition, `#`, and an element's id, path or
    slice name; or a path of R4 alone (`Patient.gender`).

    `find` gives a definition by type and canonical. Raises `Invalid`, `NotFound` for a definition that is not here,
    `Unprocessable` for an element that it does not have or does not bind.
    """
    url, mark, name = context.partition("#")
    path = _PATH.fullmatch(context)
    if path is not None:
        url, name = _STRUCTURES + path[1], context
    if not url or not name:
        raise Invalid(
            "context is written as the url of a StructureDefinition, #, and an element's id, path or slice name:"
            f" {_STRUCTURES}Patient#Patient.gender.", expression=_AT, code="value",
        )  # fmt: skip
    definition = find("StructureDefinition", url)
    if definition is None:
        raise NotFound(f"The definition {url} is not known here.", expression=_AT)
    element = _element(snapshot_of(definition, find), str(definition.get("type", "")), name)
    if element is None:
        raise Unprocessable(
            f"{url} has no element {name}. (What a datatype defines is asked of that datatype's definition.)",
            expression=_AT,
        )
    canonical = element.get("binding", {}).get("valueSet")
    if not canonical:
        raise Unprocessable(f"The element {name} of {url} is not bound to a value set.", expression=_AT)
    return str(canonical)


def _element(elements: list[dict[str, Any]], type_: str, name: str) -> dict[str, Any] | None:
    """The element by id, then by path (that of no slice first), then by the name of a slice."""
    names = {name, f"{type_}.{name}"}
    for fits in ("id", "path", "sliceName"):
        for element in elements:
            if element.get(fits) in names:
                return element
    return None
