"""Compartments: which parameters of a type make a resource a member.

https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Mapping

Compartments = Mapping[str, Mapping[str, tuple[str, ...]]]


def load_compartments(compiled: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """{"Patient": {"Observation": ("subject", "performer")}} from the compiled form.

    A type with no codes is a member only as the compartment's own resource.
    """
    return {
        name: {resource_type: tuple(codes) for resource_type, codes in members.items()}
        for name, members in compiled.items()
    }
