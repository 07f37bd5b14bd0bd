"""A package as read: its manifest and the definitions in it. https://hl7.org/fhir/packages

Neither `.index.json` nor the names of the files are believed: each resource says itself what it is.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.conformance.packages.notes import Notes
from fhir_server.conformance.packages.tar import LIMITS, Limits, files
from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import FhirError, Invalid, TooLarge, Unprocessable
from fhir_server.core.references import ID
from fhir_server.core.resource_json import decode, decode_sent, depth
from fhir_server.settings import settings

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*\Z", re.IGNORECASE)
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}\Z")
MANIFEST = "package/package.json"
CORE = ("hl7.fhir.r4.core", "hl7.fhir.core")
_PLACE = re.compile(r"package/(?P<example>examples?/)?[^/]+\.json\Z")
_LONGEST = 8 << 20
_NO_ID = re.compile(r"[^A-Za-z0-9.-]")


@dataclass(frozen=True, slots=True)
class PackageResource:
    """One resource of a package, still as text. `file`: its member's name."""

    file: str
    type: str
    id: str
    url: str
    version: str
    text: bytes

    def content(self) -> dict[str, Any]:
        """The resource, decoded anew at every call: a package's texts are ten times smaller than what they say."""
        resource: dict[str, Any] = decode(self.text)
        return resource


@dataclass(frozen=True, slots=True)
class Package:
    """`digest`: SHA-256 of the archive; `notes`: what was left out, and why."""

    name: str
    version: str
    digest: bytes
    manifest: Mapping[str, Any]
    resources: tuple[PackageResource, ...]
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`name#version`, as packages are written everywhere."""
        return f"{self.name}#{self.version}"

    @property
    def dependencies(self) -> Mapping[str, str]:
        """What it needs: version wanted, by name."""
        return dependencies_of(self.manifest)


def dependencies_of(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """What a manifest says that a package needs, without FHIR itself, which is built in."""
    return {name: wanted for name, wanted in manifest.get("dependencies", {}).items() if name not in CORE}


def definitional_types(registry: Registry) -> frozenset[str]:
    """The types that publish something: what R4 calls metadata resources. https://hl7.org/fhir/R4/metadatatypes.html"""
    found = _types.get(id(registry.structures))
    if found is None:
        found = frozenset(
            name for name in registry.resource_types
            if {"status", "useContext"} <= registry.structures[name].elements.keys()
        )  # fmt: skip
        _types[id(registry.structures)] = found
    return found


_types: dict[int, frozenset[str]] = {}


def read_package(data: bytes, registry: Registry, *, examples: bool = False, limits: Limits = LIMITS) -> Package:
    """The package in an archive: definitions in `package/`, in the order of the archive; `examples`: every resource of
    it, and of `package/example/`.

    Raises `TooLarge` (413) and `Unprocessable` (422) naming the member.
    """
    manifest: dict[str, Any] | None = None
    found: dict[tuple[str, str], PackageResource] = {}
    notes = Notes()
    for file, text in files(data, lambda name: _PLACE.match(name) is not None, limits):
        content = _parsed(file, text)
        if file == MANIFEST:
            manifest = check_manifest(content)
        elif resource := _resource(file, text, content, registry, examples, notes):
            other = found.setdefault((resource.type, resource.id), resource)
            if other is not resource:
                raise Unprocessable(f"{file} and {other.file} are both {resource.type}/{resource.id}.")
    if manifest is None:
        raise Unprocessable(f"This is no package: it has no {MANIFEST}.")
    _once(found.values())
    digest = hashlib.sha256(data).digest()
    told = tuple(notes.sentences())
    return Package(manifest["name"], manifest["version"], digest, manifest, tuple(found.values()), told)


def read_manifest(data: bytes, limits: Limits = LIMITS) -> dict[str, Any]:
    """The manifest alone; the archive is read only up to it."""
    for file, text in files(data, lambda name: name == MANIFEST, limits):
        return check_manifest(_parsed(file, text))
    raise Unprocessable(f"This is no package: it has no {MANIFEST}.")


def _parsed(file: str, text: bytes) -> Any:
    try:
        value = decode_sent(text, max_values=settings.max_nodes, max_string=_LONGEST)
        if depth(value, settings.max_depth) > settings.max_depth:
            raise TooLarge(f"It is nested deeper than {settings.max_depth} levels.")
        return value
    except FhirError as error:
        text_of = error.issues[0].text.replace("The body", "It")
        raise (TooLarge if isinstance(error, TooLarge) else Unprocessable)(f"{file}: {text_of}") from None


def check_manifest(content: Any) -> dict[str, Any]:
    """The manifest, when it names a package of FHIR R4 in the forms that the specification gives."""
    if not isinstance(content, dict):
        raise Unprocessable(f"{MANIFEST} is no JSON object.")
    name, version = content.get("name"), content.get("version")
    if not isinstance(name, str) or not NAME.match(name) or len(name) > 200:
        raise Unprocessable(f"{MANIFEST}: name must be a package's name, such as hl7.fhir.us.core.")
    if not isinstance(version, str) or not VERSION.match(version):
        raise Unprocessable(f"{MANIFEST}: version must be one like 6.1.0 or 7.0.0-ballot.")
    needed = content.get("dependencies", {})
    if not isinstance(needed, dict) or not all(
        NAME.match(key) and isinstance(value, str) and value for key, value in needed.items()
    ):
        raise Unprocessable(f"{MANIFEST}: dependencies must give a version for each name of a package.")
    _check_fhir(content, needed)
    return content


def _check_fhir(content: Mapping[str, Any], needed: Mapping[str, str]) -> None:
    said = content.get("fhirVersions") or content.get("fhir-version-list") or content.get("fhirVersion") or []
    versions = said if isinstance(said, list) else [said]
    if not versions:
        versions = [version for name, version in needed.items() if name in CORE]
    if not any(isinstance(version, str) and version.startswith("4.0.") for version in versions):
        given = ", ".join(str(version)[:20] for version in versions[:5]) or "none"
        raise Unprocessable(f"{MANIFEST}: the package is not for FHIR R4 (4.0.x). Its FHIR versions: {given}.")


def _resource(
    file: str, text: bytes, content: Any, registry: Registry, examples: bool, notes: Notes
) -> PackageResource | None:
    place = _PLACE.match(file)
    kind = content.get("resourceType") if isinstance(content, dict) else None
    if kind is None or (place is not None and place["example"] and not examples):
        return None
    if kind not in registry.type_ids:
        notes.add(file, f"left out, because {str(kind)[:60]} is no resource type of FHIR R4.")
        return None
    if kind not in definitional_types(registry) and not examples:
        return None
    id_, url, version = (content.get(name, "") for name in ("id", "url", "version"))
    if not all(isinstance(each, str) for each in (id_, url, version)) or not id_:
        raise Unprocessable(f"{file}: a resource in a package needs an id, and its url and version must be texts.")
    if not ID.match(id_):
        id_ = fitting_id(id_)
        notes.add(file, f"stored as {kind}/{id_}: its id is none of FHIR's (1 to 64 letters, digits, '-', '.').")
    said = content.get("fhirVersion", "4.0.1")
    if not any(str(each).startswith("4.0.") for each in (said if isinstance(said, list) else [said])):
        raise Unprocessable(f"{file}: it is for FHIR {str(said)[:40]}, and this server holds R4 (4.0.x).")
    return PackageResource(file, kind, id_, url, version, text)


def fitting_id(text: str) -> str:
    """An id of FHIR's form for a text that is none; another one for another text."""
    return f"{_NO_ID.sub('-', text)[:51]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _once(resources: Iterable[PackageResource]) -> None:
    """Refuse two definitions under one canonical: nobody could say which is meant."""
    known: dict[tuple[str, str, str], str] = {}
    for each in resources:
        if each.url:
            other = known.setdefault((each.type, each.url, each.version), each.file)
            if other != each.file:
                raise Unprocessable(f"{each.file} and {other} have the same url and version ({each.url}).")


def check_name(name: str) -> None:
    """Raise `Invalid` for what is no name of a package (and could lead to other files)."""
    if not NAME.match(name) or len(name) > 200:
        raise Invalid("That is no name of a package; they look like hl7.fhir.us.core.", expression="http.name")
