"""Operations of this server that R4 does not define: an OperationDefinition each in `profiles/operations/`."""

from typing import Any

import msgspec

from fhir_server.conformance.definitions import R4

_FOLDER = R4.parent / "operations"


def own_operations() -> list[dict[str, Any]]:
    """The OperationDefinition resources, by the names of their files."""
    return [msgspec.json.decode(path.read_bytes()) for path in sorted(_FOLDER.glob("*.json"))]
