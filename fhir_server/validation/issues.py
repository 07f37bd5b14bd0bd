"""What the schema refused, said in sentences with the FHIRPath of the place.

https://hl7.org/fhir/R4/operationoutcome.html
"""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.core.errors import Issue
from fhir_server.validation.primitives import FORMS, PRIMITIVES

_MOST = 50
_MOST_LOOKED_AT = 2000
_MOST_CODES = 12
_INDEX = re.compile(r"\[[0-9]+\]")
_is_code = re.compile(PRIMITIVES["code"]["pattern"]).search
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


class Place:
    """Where an instance path of the schema leads: its FHIRPath, the structure it is in, the element it is of."""

    def __init__(self, registry: Registry, resource_type: str, steps: Sequence[str | int], prefix: str) -> None:
        self.structure: Structure | None = registry.structures[resource_type]
        self.element: Element | None = None
        self.in_list = False
        self.text = prefix
        self.name = resource_type
        for step in steps:
            self._step(registry, step)

    def _step(self, registry: Registry, step: str | int) -> None:
        if isinstance(step, int):
            self.text += f"[{step}]"
            self.in_list = True
            return
        self.in_list = False
        elements = self.structure.elements if self.structure else {}
        self.element = elements.get(step) or elements.get(step.removeprefix("_"))
        self.name = step
        self.text += f".{self.element.choice or self.element.name if self.element else step}"
        if self.element is None:
            self.structure = None
        elif step.startswith("_"):
            self.structure = registry.structures["Element"]
        else:
            self.structure = registry.structures.get(self.element.type)

    def below(self, name: str) -> str:
        """The FHIRPath of a child."""
        return f"{self.text}.{name}"

    def rule(self, expression: str) -> str:
        """The key of the rule that is broken here, or at a child: the place in R4's own definition."""
        if expression == self.text:
            return rule_of(self.element.path if self.element else self.name)
        owner, name = self.structure, expression.rpartition(".")[2]
        if owner is None:
            return rule_of(self.element.path if self.element else self.name)
        typed = owner.choices.get(name, (name,))[0]
        return rule_of(owner.elements[typed].path if typed in owner.elements else owner.name)


def rule_of(path: str) -> str:
    """The key of what R4's definition says of an element: `http://hl7.org/fhir/StructureDefinition/Patient#Patient.name`."""
    return f"{_DEFINITION}{path.partition('.')[0]}#{path}"


def times(count: int) -> str:
    """How often, in words: `once`, `3 times`."""
    return "once" if count == 1 else f"{count} times"


def gap(issue: Issue) -> str | None:
    """The type of the resource whose own element, or one of its backbone's, is required and missing; None for another
    issue. What is there has the shape that R4 gives it, so that all other rules can be looked at, too."""
    path = (issue.rule or "").partition("#")[2]
    if issue.code != "required" or _INDEX.sub("", issue.expression or "") != path.removesuffix("[x]"):
        return None
    return path.partition(".")[0]


def schema_issues(registry: Registry, resource_type: str, errors: Iterator[Any], prefix: str) -> list[Issue]:
    """The issues of one resource, in the order of the schema, one for each place, about 50 at most.

    errors: of jsonschema-rs. prefix: FHIRPath of the resource itself.
    """
    found: dict[str, Issue] = {}
    for number, error in enumerate(errors):
        if number >= _MOST_LOOKED_AT:
            return [*found.values(), _more("processing", resource_type, prefix)]
        place = Place(registry, resource_type, error.instance_path, prefix)
        for code, text, expression in _explained(registry, place, error):
            if len(found) >= _MOST and expression not in found:
                # Wrong codes are no fault of form, and many of them do not become one.
                if code != "code-invalid":
                    return [*found.values(), _more("processing", resource_type, prefix)]
            # One fault can break several keywords at one place; the wrong JSON type is what to mend first.
            elif expression not in found or (code == "structure" and found[expression].code != "structure"):
                key = "ele-1" if code == "invariant" else place.rule(expression)
                found[expression] = Issue("error", code, text, expression, rule=key)
    issues = list(found.values())
    if len(issues) < _MOST:
        return issues
    code = "code-invalid" if all(issue.code == "code-invalid" for issue in issues) else "processing"
    return [*issues, _more(code, resource_type, prefix)]


def _more(code: str, resource_type: str, prefix: str) -> Issue:
    text = f"Only the first {_MOST} faults of form are told; there may be more."
    return Issue("error", code, text, prefix, rule=rule_of(resource_type))


def _explained(registry: Registry, place: Place, error: Any) -> Iterator[tuple[str, str, str]]:
    kind = error.kind
    match kind.name:
        case "required":
            yield _missing(place, kind.property)
        case "anyOf":
            yield from _explained_choice(place, error)
        case "additionalProperties":
            for name in kind.unexpected[:_MOST]:
                yield "structure", _unknown(place, name), place.below(name)
        case "enum":
            code = "code-invalid" if isinstance(error.instance, str) and _is_code(error.instance) else "value"
            yield code, _wrong_code(place, kind.options), place.text
        case "minItems":
            yield "structure", f"'{place.name}' is an empty list; leave the element out instead.", place.text
        case "minProperties":
            yield _hollow(place, error)
        case "type" | "pattern" | "minimum" | "maximum" | "const" | "minLength":
            yield _wrong_value(registry, place, kind)
        case _:
            yield "structure", f"'{place.name}' does not have the form that FHIR R4 gives it.", place.text


def _missing(place: Place, name: str) -> tuple[str, str, str]:
    name = name.removeprefix("_")
    owner = place.structure.name if place.structure else place.name
    return "required", f"'{name}' is required in {owner} but missing.", place.below(name)


def _explained_choice(place: Place, error: Any) -> Iterator[tuple[str, str, str]]:
    if "dependentSchemas" in error.schema_path[-3:]:
        name = error.schema_path[-2]
        text = f"'{name}' holds null where no extension stands at the same place of '_{name}'."
        yield "structure", text, place.below(name)
        return
    missing = [inner.kind for branch in error.kind.context for inner in branch if inner.kind.name == "required"]
    if place.name.startswith("_") or not missing:
        yield "structure", f"'{place.name}' holds null or objects with id or extension only.", place.text
        return
    name = missing[0].property
    element = place.structure.elements.get(name.removeprefix("_")) if place.structure else None
    if element is not None and element.choice:
        owner = place.structure.name if place.structure else place.name
        text = f"'{element.choice}[x]' is required in {owner} but missing."
        yield "required", text, place.below(element.choice)
    else:
        yield _missing(place, name)


def _unknown(place: Place, name: str) -> str:
    structure = place.structure
    owner = structure.name if structure else place.name
    text = f"There is no element '{name}' in {owner} of FHIR R4."
    if structure is None:
        return text
    if name.startswith("_") and name[1:] in structure.elements:
        return f"'{name}' cannot stand in {owner}: only primitive elements have an object of this kind."
    if name in structure.choices:
        typed = ", ".join(f"'{n}'" for n in structure.choices[name][:6])
        return f"'{name}' is a choice in {owner} and carries its type in the name: {typed}."
    near = get_close_matches(name, structure.elements, 1)
    return f"{text} Did you mean '{near[0]}'?" if near else text


def _wrong_code(place: Place, options: Sequence[Any]) -> str:
    codes = [str(option) for option in options if option is not None]
    value_set = place.element.binding[1] if place.element and place.element.binding else "its value set"
    if len(codes) <= _MOST_CODES:
        return f"'{place.name}' must be one of: {', '.join(codes)}."
    return f"'{place.name}' must be a code of {value_set}."


def _hollow(place: Place, error: Any) -> tuple[str, str, str]:
    if "dependentSchemas" in error.schema_path[-3:]:
        return "invariant", f"'{place.name}' has an id but no content (ele-1).", place.text
    return "structure", f"'{place.name}' is an empty object; leave the element out instead.", place.text


def _wrong_value(registry: Registry, place: Place, kind: Any) -> tuple[str, str, str]:
    element = place.element
    if element is None:
        return "structure", f"'{place.name}' does not have the form that FHIR R4 gives it.", place.text
    if kind.name == "type" and "array" in kind.types and not place.in_list:
        return "structure", f"'{place.name}' must be a list: it can be present several times.", place.text
    if place.name.startswith("_"):
        return "structure", f"'{place.name}' must be an object with id or extension.", place.text
    if element.type not in PRIMITIVES:
        listed = " (not a list)" if element.max == 1 else ""
        return "structure", f"'{place.name}' must be a JSON object of type {element.type}{listed}.", place.text
    code = "structure" if kind.name == "type" else "value"
    single = ", and not a list" if kind.name == "type" and element.max == 1 else ""
    return code, f"'{place.name}' must be {FORMS[element.type]}{single} ({element.type}).", place.text
