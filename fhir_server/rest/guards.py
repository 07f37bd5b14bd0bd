"""What features check when a client writes a resource itself, by type."""

from collections.abc import Mapping, Sequence

from fhir_server.core.context import Guard

GUARDS: Mapping[str, Sequence[Guard]] = {}
