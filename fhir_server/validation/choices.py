"""Of a choice element (`value[x]`) at most one type is present. https://hl7.org/fhir/R4/formats.html#choice"""

from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Structure
from fhir_server.validation.issues import rule_of
from fhir_server.validation.walk import Path, Rule, Visit, Walk


def _on_object(registry: Registry, structure: Structure) -> Visit | None:
    if not structure.choices:
        return None
    table = {name: choice for choice, names in structure.choices.items() for name in names}
    table.update({f"_{name}": choice for name, choice in list(table.items())})

    names = frozenset(table)

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        if len(names.intersection(value)) < 2:
            return
        seen: dict[str, str] = {}
        for key in value:
            choice = table.get(key)
            if choice is not None:
                name = key.lstrip("_")
                if seen.setdefault(choice, name) != name:
                    text = f"'{choice}[x]' can have only one type, but has '{seen[choice]}' and '{name}'."
                    walk.fail((path, choice, None), "structure", text, rule=rule_of(f"{structure.name}.{choice}[x]"))

    return visit


CHOICES = Rule("choices", on_object=_on_object)
