"""An operation as called."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.conformance.operations import Operation
from fhir_server.core.context import Context
from fhir_server.core.messages import FhirResponse


@dataclass(frozen=True, slots=True)
class OperationCall:
    """`parameters`: values by name, as lists where the definition lets a parameter repeat; `extra`: (name, value) of
    what the definition does not name but the operation takes (search parameters, the page cursor); `if_match`: the
    request's If-Match; `language`: its Accept-Language."""

    operation: Operation
    type: str | None
    id: str | None
    parameters: dict[str, Any]
    extra: Sequence[tuple[str, str]] = ()
    if_match: str | None = None
    language: str | None = None

    @property
    def path(self) -> str:
        """The URL's path below the base."""
        return "/".join(part for part in (self.type, self.id, f"${self.operation.code}") if part)


Handler = Callable[[Context, OperationCall], FhirResponse | dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Wired:
    """An operation that this server does. `extra`: parameters that it takes besides its definition's (`*`: any);
    `takes_invalid`: its input may be invalid FHIR, because to say so is its purpose; `not_at`: a level of its
    definition at which it is not offered, with the reason; `logs`: it tells the audit log itself what it showed."""

    handler: Handler
    extra: frozenset[str] = frozenset()
    takes_invalid: bool = False
    not_at: tuple[str, str] = ("", "")
    logs: bool = False


# By (resource type or None for the system level, code). `Resource` stands for every type.
Table = Mapping[tuple[str | None, str], Wired]
