"""This server's own guide as a package: what `profiles/` defines, with snapshots, and examples of it.

https://hl7.org/fhir/R4/implementationguide.html, https://hl7.org/fhir/packages
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fhir_server import __version__
from fhir_server.conformance import base_definitions
from fhir_server.conformance.definitions import FHIR_VERSION, R4
from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.conformance.packages.content import CORE
from fhir_server.conformance.packages.packed import packed
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.resource_json import decode, encode

NAME = "salam.clinic"
_TITLE = "Salam: a clinic's day"
_TEXT = (
    "Booking, waiting queues and messages of the Salam FHIR server: profiles, extensions, codes, search parameters and"
    " operations, for whoever reads or writes these resources."
)
_KINDS = ("structures", "code-systems", "value-sets", "search-parameters", "operations")
_INDEXED = ("resourceType", "id", "url", "version", "kind", "type", "supplements", "derivation")
Json = dict[str, Any]


def build(version: str = __version__) -> tuple[str, str, bytes]:
    """(name, version, archive); the same bytes for the same definitions."""
    definitions = [_complete(each, version) for kind in _KINDS for each in own_definitions(kind)]
    samples = examples()
    everything = [*definitions, _guide(version, definitions, samples)]
    files = {"package/package.json": _pretty(_manifest(version)), "package/.index.json": _index(everything)}
    files |= {f"package/{_file(each)}": _pretty(each) for each in everything}
    files |= {f"package/example/{_file(each)}": _pretty(each) for each in samples}
    files["package/example/.index.json"] = _index(samples)
    return NAME, version, packed(files)


def examples() -> list[Json]:
    """The examples of the guide, by the names of their files: `profiles/examples/*.json`."""
    return [decode(path.read_bytes()) for path in sorted((R4.parent / "examples").glob("*.json"))]


def _complete(definition: Mapping[str, Any], version: str) -> Json:
    """A definition as it is published: with the guide's version, and with its snapshot."""
    head = {name: definition[name] for name in ("resourceType", "id", "url")}
    full = {**head, "version": version, **definition}
    if full["resourceType"] == "StructureDefinition":
        full["snapshot"] = {"element": snapshot_of(dict(definition), base_definitions.find)}
    return full


def _manifest(version: str) -> Json:
    return {
        "name": NAME,
        "version": version,
        "tools-version": 3,
        "type": "fhir.ig",
        "canonical": "urn:salam",
        "title": _TITLE,
        "description": _TEXT,
        "author": "Salam",
        "fhirVersions": [FHIR_VERSION],
        "dependencies": {CORE[0]: FHIR_VERSION},
        "directories": {"lib": "package", "example": "example"},
    }


def _guide(version: str, definitions: Iterable[Json], samples: Iterable[Json]) -> Json:
    listed = [{**_listed(each), "exampleBoolean": False} for each in definitions]
    for each in samples:
        profiles = each.get("meta", {}).get("profile", [])
        shown = {"exampleCanonical": profiles[0]} if profiles else {"exampleBoolean": True}
        listed.append({**_listed(each), **shown})
    return {
        "resourceType": "ImplementationGuide",
        "id": NAME,
        "url": "urn:salam:ImplementationGuide:clinic",
        "version": version,
        "name": "SalamClinic",
        "title": _TITLE,
        "status": "active",
        "description": _TEXT,
        "packageId": NAME,
        "fhirVersion": [FHIR_VERSION],
        "definition": {"resource": listed},
    }


def _listed(resource: Json) -> Json:
    name = resource.get("title") or resource.get("name")
    listed: Json = {"reference": {"reference": f"{resource['resourceType']}/{resource['id']}"}}
    if isinstance(name, str):
        listed["name"] = name
    if isinstance(resource.get("description"), str):
        listed["description"] = resource["description"]
    return listed


def _file(resource: Json) -> str:
    return f"{resource['resourceType']}-{resource['id']}.json"


def _index(resources: Iterable[Json]) -> bytes:
    """https://confluence.hl7.org/display/FHIR/NPM+Package+Specification, `.index.json`"""
    rows = [
        {"filename": _file(each), **{name: each[name] for name in _INDEXED if isinstance(each.get(name), str)}}
        for each in resources
    ]
    return _pretty({"index-version": 2, "files": sorted(rows, key=lambda row: row["filename"])})


def _pretty(value: Json) -> bytes:
    return msgspec.json.format(encode(value), indent=2) + b"\n"
