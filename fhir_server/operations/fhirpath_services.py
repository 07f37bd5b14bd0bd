"""Who answers FHIRPath's questions for a caller: within what he may read.

https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, TooCostly
from fhir_server.core.references import parse_literal
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import Node
from fhir_server.interactions.judging import scope_of
from fhir_server.interactions.read import read, vread
from fhir_server.operations.readable_definitions import ReadableDefinitions
from fhir_server.search.values.reference import local_target
from fhir_server.terminology.membership import Membership
from fhir_server.validation.profiles.coded import within
from fhir_server.validation.profiles.plans import plans_of
from fhir_server.validation.profiles.slice_members import in_slice
from fhir_server.validation.profiles.trial import Answers, Trial


class CallerServices:
    """`fhirpath.services.Services` for the caller of an operation on one resource."""

    def __init__(self, ctx: Context, resource: dict[str, Any]) -> None:
        self._ctx = ctx
        self._resource = resource
        self._readable = ReadableDefinitions(ctx)
        self._membership = Membership(ctx.registry, self._readable, ctx.db, ctx.tenant.id)
        self._found: dict[str, Node | None] = {}

    def member_of(self, value_set: str, node: Node) -> bool | None:
        """Whether one of a node's codes is in a value set."""
        return within(self._membership, value_set, node)

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        """Whether a node satisfies a profile; None for a profile that nobody has, or that the caller may not read."""
        if self._readable.find("StructureDefinition", profile) is None:
            return None
        try:
            return Answers(self._trial()).conforms_to(node, profile)
        except TooCostly:
            raise
        except FhirError:
            return None

    def in_slice(self, node: Node, profile: str, name: str) -> bool | None:
        """Whether a node belongs to a slice of a profile; None when there is no such slice, or he may not read it."""
        if self._readable.find("StructureDefinition", profile) is None:
            return None
        try:
            return in_slice(self._trial(), profile, name, node)
        except FhirError:
            return None

    def _trial(self) -> Trial:
        scope = scope_of(self._ctx)
        return Trial(scope, plans_of(scope.registry), self._resource)

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        """Whether code `a` is `b` or above it."""
        return self._membership.subsumes(system, a, b)

    def resolve(self, reference: str) -> Node | None:
        """The stored resource that a reference leads to, if the caller may read it. Its reading is logged, once."""
        if reference not in self._found:
            self._found[reference] = self._read(reference)
        return self._found[reference]

    def _read(self, reference: str) -> Node | None:
        _, kind, id_ = local_target(reference, self._ctx.base)
        literal = parse_literal(reference)
        if kind is None or id_ is None or literal is None or kind not in self._ctx.registry.type_ids:
            return None
        try:
            version = vread(self._ctx, kind, id_, literal.version) if literal.version else read(self._ctx, kind, id_)
        except FhirError:
            return None
        return kind, decode(version.body), None
