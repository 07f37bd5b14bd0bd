"""An operation as called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.conformance.operations import Operation
from fhir_server.core.context import Context
from fhir_server.core.messages import FhirResponse


@dataclass(frozen=True, slots=True)
class OperationCall:
    """`parameters`: values by name, as lists where the definition lets a parameter repeat; `extra`: (name, value) of
    what the definition does not name but the operation takes (search parameters, the page cursor)."""

    operation: Operation
    type: str | None
    id: str | None
    parameters: dict[str, Any]
    extra: Sequence[tuple[str, str]] = ()

    @property
    def path(self) -> str:
        """The URL's path below the base."""
        return "/".join(part for part in (self.type, self.id, f"${self.operation.code}") if part)


Handler = Callable[[Context, OperationCall], FhirResponse | dict[str, Any]]
