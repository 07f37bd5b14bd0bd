"""Definitions of this server that R4 does not have: JSON resources in the folders of `profiles/`.

`profiles/operations/` and, for each feature, `profiles/{feature}/{operations,search-parameters,structures,…}/`.
"""

from functools import cache
from typing import Any

import msgspec

from fhir_server.conformance.definitions import R4

_PROFILES = R4.parent


@cache
def own_definitions(kind: str) -> tuple[dict[str, Any], ...]:
    """The resources of one kind (the name of its folders), by the names of their files."""
    paths = [*sorted(_PROFILES.glob(f"{kind}/*.json")), *sorted(_PROFILES.glob(f"*/{kind}/*.json"))]
    return tuple(msgspec.json.decode(path.read_bytes()) for path in paths)


@cache
def own_table(name: str) -> tuple[tuple[str, Any], ...]:
    """(feature, content) of every plain table of that name: `profiles/{feature}/{name}.json`."""
    paths = sorted(_PROFILES.glob(f"*/{name}.json"))
    return tuple((path.parent.name, msgspec.json.decode(path.read_bytes())) for path in paths)
