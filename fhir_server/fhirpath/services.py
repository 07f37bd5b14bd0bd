"""What an expression can ask of the server around it: terminology, profiles, and where references lead.

https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from typing import Protocol, runtime_checkable

from fhir_server.fhirpath.nodes import Node


class Services(Protocol):
    """Answers for `memberOf`, `subsumes`, `conformsTo` and `resolve`. None: it cannot be told here."""

    def member_of(self, value_set: str, node: Node) -> bool | None:
        """Whether a code, Coding, CodeableConcept, Quantity or string is in the value set of this canonical."""
        ...

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        """Whether a resource or element satisfies the profile of this canonical."""
        ...

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        """Whether code `a` is the same as `b` or above it. Both are of this code system."""
        ...

    def resolve(self, reference: str) -> Node | None:
        """The resource that a reference points to, as it stands in the resource. None also for what may not be read."""
        ...


@runtime_checkable
class Slices(Protocol):
    """What services answer besides, if they can: `slice`."""

    def in_slice(self, node: Node, profile: str, name: str) -> bool | None:
        """Whether an item belongs to a slice (sliceName or element id) of a profile."""
        ...
