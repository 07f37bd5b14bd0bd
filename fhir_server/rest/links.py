"""Links inside a transaction: from `urn:uuid:` and other fullUrls, and from conditional references, to `Type/id`.

Rewritten are references, elements of type uri, url, oid and uuid (not canonical), and links and images of narratives.
https://hl7.org/fhir/R4/http.html#transaction-response, #trules
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from fhir_server.conformance.structures import Structure
from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, PreconditionFailed
from fhir_server.core.references import parse_literal
from fhir_server.interactions.conditional import find

_URI_TYPES = frozenset({"uri", "url", "oid", "uuid"})
_NARRATIVE_LINK = re.compile(r"""((?:href|src)\s*=\s*["'])([^"']+)(["'])""")
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?(?P<query>.+)\Z", re.DOTALL)


class Links:
    """The rewriting of one transaction. `known`: fullUrl -> `Type/id`."""

    def __init__(self, ctx: Context, known: Mapping[str, str]) -> None:
        self._ctx = ctx
        self._known = known
        self._conditions: dict[str, str] = {}
        self._root = ""

    def rewrite(self, resource: dict[str, Any], full_url: str | None) -> dict[str, Any]:
        """The resource of an entry with every such link rewritten; a relative reference means what its fullUrl has
        beside it, if that is in the Bundle. Raises `PreconditionFailed` for a conditional reference that does not match
        exactly one resource. https://hl7.org/fhir/R4/bundle.html#references"""
        literal = parse_literal(full_url or "")
        self._root = (literal.base or "") if literal else ""
        structure = self._ctx.registry.structures.get(str(resource.get("resourceType")))
        return resource if structure is None else self._object(resource, structure, "resource")

    def _object(self, value: dict[str, Any], structure: Structure, path: str) -> dict[str, Any]:
        structures, elements = self._ctx.registry.structures, structure.elements
        out = {}
        for name, child in value.items():
            element = elements.get(name)
            if element is None:
                out[name] = child
            elif isinstance(child, str):
                out[name] = self._text(child, structure.name, name, element.type, path)
            elif isinstance(child, (dict, list)):
                inner = structures.get(element.type)
                out[name] = child if inner is None else self._nested(child, inner, f"{path}.{name}")
            else:
                out[name] = child
        return out

    def _nested(self, child: Any, structure: Structure, path: str) -> Any:
        if isinstance(child, dict):
            if structure.abstract and "resourceType" in child:
                structure = self._ctx.registry.structures.get(str(child["resourceType"]), structure)
            return self._object(child, structure, path)
        if isinstance(child, list):
            if structure.kind == "primitive-type":
                if structure.name not in _URI_TYPES:
                    return child
                return [self._known.get(item, item) if isinstance(item, str) else item for item in child]
            return [self._nested(item, structure, f"{path}[{i}]") for i, item in enumerate(child)]
        return child

    def _text(self, text: str, owner: str, name: str, kind: str, path: str) -> str:
        if owner == "Reference" and name == "reference":
            known = self._known.get(self._root + text) or self._known.get(text)
            if known is not None:
                return known
            condition = _CONDITIONAL.match(text)
            return text if condition is None else self._conditional(text, condition, f"{path}.reference")
        if kind in _URI_TYPES:
            return self._known.get(text, text)
        if kind == "xhtml":
            return _NARRATIVE_LINK.sub(lambda m: m[1] + self._known.get(m[2], m[2]) + m[3], text)
        return text

    def _conditional(self, text: str, condition: re.Match[str], path: str) -> str:
        if text in self._conditions:
            return self._conditions[text]
        name = condition["type"]
        if name not in self._ctx.registry.type_ids:
            raise PreconditionFailed(f"The conditional reference names no resource type: {name}.", expression=path)
        try:
            found = find(self._ctx, name, parse_qsl(condition["query"], keep_blank_values=True))
        except FhirError as error:
            error.issues = [replace(issue, expression=path) for issue in error.issues]
            raise
        if len(found) != 1:
            count = "none" if not found else "more than one"
            raise PreconditionFailed(
                f"The conditional reference {name}?{_names(condition['query'])} must match exactly one {name};"
                f" it matches {count}.",
                expression=path,
                code="not-found" if not found else "multiple-matches",
            )
        self._conditions[text] = f"{name}/{found[0].id}"
        return self._conditions[text]


def _names(query: str) -> str:
    return "&".join(f"{name}=…" for name, _ in parse_qsl(query, keep_blank_values=True))
