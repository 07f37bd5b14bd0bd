"""Compartments: which parameters of a type make a resource a member.

https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Mapping, Sequence

Compiled = Mapping[str, Mapping[str, Sequence[str]]]
Compartments = Mapping[str, Mapping[str, tuple[str, ...]]]


def load_compartments(compiled: Compiled, own: Sequence[Compiled] = ()) -> dict[str, dict[str, tuple[str, ...]]]:
    """{"Patient": {"Observation": ("subject", "performer")}} from the compiled form, with what `own` adds to it.

    A type with no codes is a member only as the compartment's own resource.
    """
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for table in (compiled, *own):
        for name, members in table.items():
            found.setdefault(name, {}).update({kind: tuple(codes) for kind, codes in members.items()})
    return found
