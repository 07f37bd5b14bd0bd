"""R4's own definitions and this server's, as resources, by canonical url.

Structure definitions are read from `profiles/r4/structure-definitions.zip` one at a time: together they are 40 MB.
"""

import zipfile
from functools import cache, lru_cache
from typing import Any

import msgspec

from fhir_server.conformance.definitions import FHIR_VERSION, R4, read_definitions
from fhir_server.conformance.own_definitions import own_definitions

_FOLDERS = {
    "StructureDefinition": "structures",
    "ValueSet": "value-sets",
    "CodeSystem": "code-systems",
    "SearchParameter": "search-parameters",
    "OperationDefinition": "operations",
}
_ARCHIVE = R4 / "structure-definitions.zip"


def find(resource_type: str, canonical: str) -> dict[str, Any] | None:
    """The definition of a canonical (`url` or `url|version`), or None. Nobody changes what he is given."""
    url, _, version = canonical.partition("#")[0].partition("|")
    found = _own(resource_type).get(url) or _core(resource_type, url)
    if found is None or (version and not _is_version(found, version)):
        return None
    return found


def _is_version(definition: dict[str, Any], version: str) -> bool:
    held = str(definition.get("version", FHIR_VERSION))
    return held == version or held.startswith(f"{version}.")


@cache
def _own(resource_type: str) -> dict[str, dict[str, Any]]:
    folder = _FOLDERS.get(resource_type)
    return {} if folder is None else {row["url"]: row for row in own_definitions(folder)}


@lru_cache(maxsize=512)
def _core(resource_type: str, url: str) -> dict[str, Any] | None:
    if resource_type == "StructureDefinition":
        name = structure_names().get(url)
        return None if name is None else msgspec.json.decode(_archive().read(name))
    if resource_type in ("ValueSet", "CodeSystem"):
        return _compact(_FOLDERS[resource_type]).get(url)
    return None


@cache
def _compact(folder: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_definitions(folder)
    return found


@cache
def structure_names() -> dict[str, str]:
    """Of each of R4's structure definitions, by url: its file in the archive."""
    found: dict[str, str] = msgspec.json.decode(_archive().read("index.json"))
    return found


@cache
def _archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(_ARCHIVE)
