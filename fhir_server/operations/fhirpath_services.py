"""Who answers FHIRPath's questions for a caller: within what he may read.

https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from typing import Any

from fhir_server.conformance import canonicals
from fhir_server.conformance.canonicals import Canonicals
from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError
from fhir_server.core.references import parse_literal
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import Node
from fhir_server.interactions.judging import scope_of
from fhir_server.interactions.read import read, vread
from fhir_server.search.values.reference import local_target
from fhir_server.security import policy
from fhir_server.storage.definitions import DefinitionRow
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
        readable = _Readable(ctx, ctx.registry.canonicals)
        self._membership = Membership(ctx.registry, readable, ctx.db, ctx.tenant.id)
        self._found: dict[str, Node | None] = {}

    def member_of(self, value_set: str, node: Node) -> bool | None:
        """Whether one of a node's codes is in a value set."""
        return within(self._membership, value_set, node)

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        """Whether a node satisfies a profile; None for a profile that nobody has."""
        try:
            return Answers(self._trial()).conforms_to(node, profile)
        except FhirError:
            return None

    def in_slice(self, node: Node, profile: str, name: str) -> bool | None:
        """Whether a node belongs to a slice of a profile; None when there is no such slice."""
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


class _Readable(canonicals.Definitions):
    """The tenant's definitions that the caller may read; this server's and R4's are everybody's."""

    def __init__(self, ctx: Context, found: Canonicals) -> None:
        super().__init__(found, ctx.db, ctx.tenant.id)
        self._ctx = ctx
        self._types = {number: name for name, number in ctx.registry.type_ids.items()}
        self._may: dict[int, bool] = {}

    def body(self, row: DefinitionRow) -> dict[str, Any] | None:
        """The resource of a row; None when the caller may not read it."""
        may = self._may.get(row.rid)
        if may is None:
            may = self._may[row.rid] = self._may_read(self._types[row.type_id], row)
        return super().body(row) if may else None

    def _may_read(self, resource_type: str, row: DefinitionRow) -> bool:
        types = policy.readable_types(self._ctx, "r")
        if types is not None and resource_type not in types:
            return False
        if policy.rule(self._ctx, (resource_type,), "r") is None:
            return True
        try:
            read(self._ctx, resource_type, row.id)
        except FhirError:
            return False
        return True
