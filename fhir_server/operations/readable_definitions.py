"""Definitions by canonical url, as far as a caller may read them: what he asks for by name must not tell him more."""

from typing import Any

from fhir_server.conformance.canonicals import Definitions
from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError
from fhir_server.interactions.read import read
from fhir_server.security import policy
from fhir_server.storage.definitions import DefinitionRow


class ReadableDefinitions(Definitions):
    """The tenant's definitions that the caller may read; this server's and R4's are everybody's."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx.registry.canonicals, ctx.db, ctx.tenant.id)
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
