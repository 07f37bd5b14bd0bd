"""Search parameters as they apply to one concrete resource type.

https://hl7.org/fhir/R4/searchparameter.html, https://hl7.org/fhir/R4/search.html
"""

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.conformance.structures import Structure
from fhir_server.core.errors import Unprocessable

# https://hl7.org/fhir/R4/search.html#modifiers
MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "string": ("missing", "exact", "contains"),
    "token": ("missing", "text", "not", "above", "below", "in", "not-in", "of-type"),
    "uri": ("missing", "above", "below"),
    "reference": ("missing", "type", "identifier", "above", "below"),
    "number": ("missing",),
    "date": ("missing",),
    "quantity": ("missing",),
    "composite": ("missing",),
    "special": ("missing",),
}


_HEAD = re.compile(r"\(*(\w+)")
_PATH = re.compile(r"\(*([\w.]+)")
_RESOLVED = re.compile(r"resolve\(\) is (\w+)")


BASE_URL = "http://hl7.org/fhir/SearchParameter/"


@dataclass(frozen=True, slots=True)
class SearchParam:
    """A search parameter on one resource type.

    type: number, date, string, token, reference, composite, quantity, uri or special. expression: FHIRPath, only the
    operands that apply to `resource_type`. targets: reference target types, () = any. components: for a composite, the
    component's parameter and its expression relative to an element that `expression` selects. parts: codes of the
    type's parameters whose index rows together are this one's; () = it has rows of its own. conjuncts: for a composite
    of the resource as a whole, the codes of its components, which then hold of the same element by themselves.
    """

    code: str
    type: str
    url: str
    resource_type: str
    expression: str
    targets: tuple[str, ...] = ()
    components: tuple[tuple["SearchParam", str], ...] = ()
    modifiers: tuple[str, ...] = ()
    multiple_or: bool = True
    multiple_and: bool = True
    parts: tuple[str, ...] = ()
    conjuncts: tuple[str, ...] = ()

    @property
    def is_base(self) -> bool:
        """Whether FHIR R4 defines it, not this server or a tenant."""
        return self.url.startswith(BASE_URL)


@dataclass(frozen=True, slots=True)
class SearchDefinition:
    """A SearchParameter before it is placed on a type. `bases` are concrete types, or `Resource` for every type."""

    code: str
    type: str
    url: str
    bases: tuple[str, ...]
    expression: str
    targets: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    modifiers: tuple[str, ...]
    multiple_or: bool = True
    multiple_and: bool = True


def load_search_definition(url: str, resource: Mapping[str, Any]) -> SearchDefinition:
    """A definition from the compiled form or from a SearchParameter resource, in FHIR's element names.

    An absent multipleOr or multipleAnd allows it. The package says multipleOr=false for composites while the text
    allows OR-ed pairs (https://hl7.org/fhir/R4/search.html#composite): the compiled form follows the text.
    """
    bases = tuple(resource["base"])
    return SearchDefinition(
        resource["code"], resource["type"], url,
        ("Resource",) if "Resource" in bases or "DomainResource" in bases else bases,
        resource["expression"], tuple(resource.get("target", ())),
        tuple((part["definition"].split("|")[0], part["expression"]) for part in resource.get("component", ())),
        tuple(resource.get("modifier", ())) or MODIFIERS[resource["type"]],
        resource.get("multipleOr", True), resource.get("multipleAnd", True),
    )


def tenant_search_definition(resource: dict[str, Any], resource_types: Container[str]) -> SearchDefinition:
    """A tenant's SearchParameter resource as a definition.

    Raises `Unprocessable` naming the element when it cannot be used (no code, unknown type or base, no expression).
    """
    for name in ("url", "code", "type", "base", "expression"):
        if not resource.get(name):
            raise Unprocessable(f"A search parameter needs {name} to be usable.", expression=f"SearchParameter.{name}")
    if resource["type"] not in MODIFIERS:
        raise Unprocessable("The search parameter's type is not known.", expression="SearchParameter.type")
    for base in resource["base"]:
        if base not in ("Resource", "DomainResource") and base not in resource_types:
            raise Unprocessable("A base is not a resource type of FHIR R4.", expression="SearchParameter.base")
        if base in resource_types and not expression_for(base, resource["expression"]):
            raise Unprocessable(
                f"No part of the expression starts at the base type {base}.", expression="SearchParameter.expression"
            )
    for part in resource.get("component", ()):
        if not part.get("definition") or not part.get("expression"):
            raise Unprocessable(
                "A component needs a definition and an expression.", expression="SearchParameter.component"
            )
    return load_search_definition(resource["url"], resource)


def place(
    definition: SearchDefinition,
    resource_type: str,
    find: Callable[[str], SearchDefinition | None],
    structures: Mapping[str, Structure],
) -> SearchParam:
    """The parameter on a concrete type; `find` gives the definition of a component by url."""
    expression = expression_for(resource_type, definition.expression)
    targets: tuple[str, ...] = ()
    if definition.type == "reference":
        targets = reference_targets(expression, definition.targets, structures)
    found = ((find(url), part) for url, part in definition.components if definition.type == "composite")
    # A composite is no component, nor is it one of itself: a circle that was stored must not be followed.
    parts = ((part, sub) for part, sub in found if part is not None and part.type != "composite")
    components = tuple((place(part, resource_type, find, structures), sub) for part, sub in parts)
    return SearchParam(
        definition.code, definition.type, definition.url, resource_type, expression, targets, components,
        definition.modifiers, definition.multiple_or, definition.multiple_and,
    )


def split_union(expression: str) -> list[str]:
    """The operands of the top-level `|` of a FHIRPath expression."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, char in enumerate(expression):
        quoted ^= char == "'"
        if not quoted:
            depth += (char == "(") - (char == ")")
            if char == "|" and depth == 0:
                parts.append(expression[start:position])
                start = position + 1
    return [part.strip() for part in [*parts, expression[start:]] if part.strip()]


def expression_for(resource_type: str, expression: str) -> str:
    """The operands that apply to a type, written with the type's own name; "" when none does."""
    applying = []
    for part in split_union(expression):
        match = _HEAD.match(part)
        head = match[1] if match else ""
        if head in ("Resource", "DomainResource"):
            applying.append(part.replace(head, resource_type, 1))
        elif head == resource_type:
            applying.append(part)
        elif head[:1].islower():
            applying.append(f"{resource_type}.{part}")
    return " | ".join(applying)


def reference_targets(
    expression: str, declared: tuple[str, ...], structures: Mapping[str, Structure]
) -> tuple[str, ...]:
    """Resource types that the selected references may point to, within the declared ones; () = any."""
    found: set[str] = set()
    for part in split_union(expression):
        resolved = _RESOLVED.search(part)
        path = _PATH.match(part)
        names = (resolved[1],) if resolved else _element_targets(path[1].split(".") if path else [], structures)
        if not names:
            return declared
        found.update(names)
    return tuple(sorted(found.intersection(declared) if declared else found)) or declared


def _element_targets(steps: list[str], structures: Mapping[str, Structure]) -> tuple[str, ...]:
    current = steps[0] if steps else ""
    targets: tuple[str, ...] = ()
    for step in steps[1:]:
        structure = structures.get(current)
        names = structure.choices.get(step, (step,)) if structure else ()
        elements = [structure.elements[name] for name in names if structure and name in structure.elements]
        if not elements:
            return ()
        element = next((e for e in elements if e.type in ("Reference", "canonical")), elements[0])
        current, targets = element.type, element.targets
    return targets
