"""A CodeSystem resource in JSON, of any size. https://hl7.org/fhir/R4/codesystem.html"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from fhir_server.core.errors import Unprocessable
from fhir_server.core.resource_json import decode
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source

_KEPT = ("title", "publisher", "copyright", "content", "versionNeeded", "hierarchyMeaning", "description")
_ABOVE = frozenset({"parent", "subsumedBy"})
_GONE = frozenset({"retired", "inactive"})
_FLAGS = frozenset({"inactive", "notSelectable", "abstract"})


class _Resource(msgspec.Struct):
    """What is needed of the resource; concepts stay text until it is their turn."""

    resourceType: str = ""  # noqa: N815  (as in the JSON)
    url: str = ""
    version: str = ""
    name: str = ""
    title: str = ""
    publisher: str = ""
    copyright: str = ""
    description: str = ""
    content: str = "complete"
    versionNeeded: bool = False  # noqa: N815
    hierarchyMeaning: str = ""  # noqa: N815
    caseSensitive: bool = True  # noqa: N815
    property: list[dict[str, Any]] = []
    concept: list[msgspec.Raw] = []


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of a resource. Raises `Unprocessable` for what is no CodeSystem with codes."""
    name = source.one("codesystem*.json", "*.json", "*", what="the CodeSystem")
    with source.binary(name) as file:
        text = file.read()
    try:
        found = msgspec.json.decode(text, type=_Resource)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unprocessable(f"{name} is no CodeSystem resource in JSON: {error}.") from None
    if found.resourceType != "CodeSystem":
        raise Unprocessable(f"{name} is no CodeSystem resource, but {found.resourceType[:40] or 'something else'}.")
    if found.content == "supplement":
        raise Unprocessable(f"{name} is a supplement: store it as a resource (PUT CodeSystem/[id]).")
    types = {str(each.get("code")): str(each.get("type", "string")) for each in found.property}
    described = {key: value for key in _KEPT if (value := getattr(found, key))}
    return Content(
        required(options.system, found.url, "the system's URL"), options.version or found.version,
        options.name or found.name or found.url, _records(found.concept, _children(found.concept, text), report),
        types, found.caseSensitive, described,
    )  # fmt: skip


def _children(concepts: list[msgspec.Raw], text: bytes) -> Mapping[str, list[str]]:
    """The parents of codes that are named by a property `child` of theirs."""
    above: dict[str, list[str]] = {}
    if b'"child"' in text:
        for concept, _ in _walk(concepts):
            for name, value in _properties(concept):
                if name == "child":
                    above.setdefault(str(value), []).append(str(concept.get("code")))
    return above


def _walk(concepts: list[msgspec.Raw]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every concept with the code that it is nested in."""
    for raw in concepts:
        waiting = [(decode(bytes(raw)), "")]
        while waiting:
            concept, parent = waiting.pop()
            if not isinstance(concept, dict):
                continue
            yield concept, parent
            nested = concept.get("concept")
            waiting += [(each, str(concept.get("code", ""))) for each in reversed(nested)] if nested else []


def _properties(concept: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for entry in concept.get("property", ()):
        for key, value in entry.items():
            if key.startswith("value"):
                yield str(entry.get("code")), value


def _records(concepts: list[msgspec.Raw], above: Mapping[str, list[str]], report: Report) -> Iterator[Record]:
    for concept, parent in _walk(concepts):
        code = concept.get("code")
        if not isinstance(code, str):
            report.refuse("a concept", "has no code.")
            continue
        said = list(_properties(concept))
        parents = [parent] if parent else []
        parents += [str(value) for name, value in said if name in _ABOVE]
        parents += above.get(code, ())
        kept = [(name, value) for name, value in said if name not in _ABOVE and name not in _FLAGS and name != "child"]
        gone = any((n == "inactive" and v is True) or (n == "status" and v in _GONE) for n, v in said)
        yield Record(
            code, concept.get("display") or "", parents, kept,
            [{k: d[k] for k in ("language", "use", "value") if k in d}
             for d in concept.get("designation", ()) if d.get("value")],
            concept.get("definition"), gone, any(n in ("notSelectable", "abstract") and v is True for n, v in said),
        )  # fmt: skip


IMPORTER = Importer(read, "a CodeSystem resource in JSON")
