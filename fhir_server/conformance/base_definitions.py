"""R4's own definitions and this server's, as resources, by canonical url and by id.

Structure definitions are read from `profiles/r4/structure-definitions.zip` one at a time: together they are 40 MB.
The others are made of the compiled files: without the prose of R4's pages.
"""

import zipfile
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

import msgspec

from fhir_server.conformance.definitions import FHIR_VERSION, R4, read_definitions
from fhir_server.conformance.own_definitions import own_definitions

Resource = dict[str, Any]

_FOLDERS = {
    "StructureDefinition": "structures",
    "ValueSet": "value-sets",
    "CodeSystem": "code-systems",
    "ConceptMap": "concept-maps",
    "SearchParameter": "search-parameters",
    "OperationDefinition": "operations",
    "CompartmentDefinition": "compartments",
}
TYPES = frozenset(_FOLDERS)
_CORE = "http://hl7.org/fhir/"
_ARCHIVE = R4 / "structure-definitions.zip"


def find(resource_type: str, canonical: str) -> Resource | None:
    """The definition of a canonical (`url` or `url|version`), or None. Nobody changes what he is given."""
    canonical = canonical.partition("#")[0]
    url, _, version = canonical.partition("|")
    if version and (found := _core(resource_type, canonical)):
        return found  # R4 writes the version of some code systems into their urls.
    found = _own(resource_type).get(url) or _core(resource_type, url)
    if found is None or (version and not _is_version(found, version)):
        return None
    return found


def by_id(resource_type: str, id_: str) -> Resource | None:
    """The definition of an id, or None. The ids are R4's and those of the files of this server's."""
    url = urls_of(resource_type).get(id_)
    return None if url is None else find(resource_type, url)


def is_own(resource_type: str, url: str) -> bool:
    """Whether the definition is this server's, not R4's."""
    return url in _own(resource_type)


def _is_version(definition: Resource, version: str) -> bool:
    held = str(definition.get("version", FHIR_VERSION))
    return held == version or held.startswith(f"{version}.")


@cache
def _own(resource_type: str) -> dict[str, Resource]:
    """This server's definitions of a type by url. One whose id R4 has taken gets another."""
    if resource_type not in _FOLDERS:
        return {}
    taken = _core_urls(resource_type)
    rows = own_definitions(_FOLDERS[resource_type])
    return {row["url"]: {**row, "id": f"salam-{row['id']}"} if row["id"] in taken else row for row in rows}


def _core(resource_type: str, url: str) -> Resource | None:
    return _structure(url) if resource_type == "StructureDefinition" else _complete(resource_type, url)


# Decoded they take some 0.3 MB each.
@lru_cache(maxsize=128)
def _structure(url: str) -> Resource | None:
    name = structure_names().get(url)
    return None if name is None else msgspec.json.decode(_archive().read(name))


@lru_cache(maxsize=512)
def _complete(resource_type: str, url: str) -> Resource | None:
    row = _compact(resource_type).get(url) if resource_type in _FOLDERS else None
    return None if row is None else {"resourceType": resource_type, **_COMPLETE.get(resource_type, dict)(row)}


@cache
def _compact(resource_type: str) -> dict[str, Resource]:
    """The compiled definitions of a type by url."""
    compiled = read_definitions(_FOLDERS[resource_type])
    if resource_type == "OperationDefinition":
        return {row["url"]: row for row in compiled}
    if resource_type == "CompartmentDefinition":
        named = {f"{_CORE}{resource_type}/{_small(code)}": code for code in compiled}
        return {url: {"url": url, "code": code, "members": compiled[code]} for url, code in named.items()}
    found: dict[str, Resource] = compiled
    return {url: {"url": url, **row} for url, row in found.items()}


@cache
def urls_of(resource_type: str) -> dict[str, str]:
    """The urls of a type's shared definitions by id."""
    return _core_urls(resource_type) | {row["id"]: url for url, row in _own(resource_type).items()}


@cache
def _core_urls(resource_type: str) -> dict[str, str]:
    """The same of R4's alone."""
    if resource_type not in _FOLDERS:
        return {}
    if resource_type == "StructureDefinition":
        return {name.removesuffix(".json"): url for url, name in structure_names().items()}
    return {row.get("id") or _tail(url): url for url, row in _compact(resource_type).items()}


def _search_parameter(row: Resource) -> Resource:
    """https://hl7.org/fhir/R4/searchparameter.html"""
    kept = {name: row[name] for name in ("code", "base", "type", "expression", "target", "component") if row.get(name)}
    told = f"Search parameter {row['code']} of {', '.join(row['base'])}."
    return {**_published(row["url"], row["code"]), "description": told, **kept}


def _operation(row: Resource) -> Resource:
    """https://hl7.org/fhir/R4/operationdefinition.html"""
    kept = {name: value for name, value in row.items() if name != "url" and value not in ([], None)}
    return {**_published(row["url"], row["code"]), "kind": "operation", **kept}


def _compartment(row: Resource) -> Resource:
    """https://hl7.org/fhir/R4/compartmentdefinition.html"""
    members = [{"code": name, "param": codes} if codes else {"code": name} for name, codes in row["members"].items()]
    named = _published(row["url"], f"{row['code']}Compartment")
    return {**named, "code": row["code"], "search": True, "resource": members}


def _published(url: str, name: str) -> Resource:
    return {"id": _tail(url), "url": url, "version": FHIR_VERSION, "name": name, "status": "active"}


_COMPLETE = {
    "SearchParameter": _search_parameter, "OperationDefinition": _operation, "CompartmentDefinition": _compartment,
}


def _tail(url: str) -> str:
    return url.rpartition("/")[2]


def _small(code: str) -> str:
    return code[:1].lower() + code[1:]


@cache
def structure_names() -> dict[str, str]:
    """Of each of R4's structure definitions, by url: its file in the archive."""
    found: dict[str, str] = msgspec.json.decode(_archive().read("index.json"))
    return found


@cache
def _archive() -> zipfile.ZipFile:
    # In memory: processes that are forked later would share a file's position.
    return zipfile.ZipFile(BytesIO(_ARCHIVE.read_bytes()))
