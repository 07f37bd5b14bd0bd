"""Packages made in code: guides with a few resources, and archives that no honest tool writes."""

import gzip
import io
import tarfile
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.conformance.packages.packed import packed
from fhir_server.core.resource_json import encode
from tests.client import Answer, Client

Json = dict[str, Any]
URL = "http://example.org/ig"
FHIR = "http://hl7.org/fhir/StructureDefinition/"


def manifest(name: str = "test.guide", version: str = "1.0.0", **more: Any) -> Json:
    """A package.json. `dependencies` may be given."""
    return {"name": name, "version": version, "fhirVersions": ["4.0.1"], "title": f"Guide {name}", **more}


def profile(id_: str, kind: str = "Patient", elements: Iterable[Json] = (), **more: Any) -> Json:
    """A StructureDefinition that constrains a type, with a differential only."""
    return {
        "resourceType": "StructureDefinition", "id": id_, "url": f"{URL}/StructureDefinition/{id_}",
        "version": "1.0.0", "name": id_.replace("-", "").title(), "status": "active", "fhirVersion": "4.0.1",
        "kind": "resource", "abstract": False, "type": kind, "baseDefinition": f"{FHIR}{kind}",
        "derivation": "constraint", "differential": {"element": [{"id": kind, "path": kind}, *elements]}, **more,
    }  # fmt: skip


def value_set(id_: str, *includes: Json, **more: Any) -> Json:
    """A ValueSet of these includes."""
    return {
        "resourceType": "ValueSet", "id": id_, "url": f"{URL}/ValueSet/{id_}", "version": "1.0.0", "status": "active",
        "compose": {"include": list(includes)}, **more,
    }  # fmt: skip


def code_system(id_: str, *codes: str, **more: Any) -> Json:
    """A complete CodeSystem of these codes."""
    return {
        "resourceType": "CodeSystem", "id": id_, "url": f"{URL}/CodeSystem/{id_}", "version": "1.0.0",
        "status": "active", "content": "complete", "concept": [{"code": code} for code in codes], **more,
    }  # fmt: skip


def parameter(code: str, expression: str, base: str = "Patient", kind: str = "token", **more: Any) -> Json:
    """A SearchParameter."""
    return {
        "resourceType": "SearchParameter", "id": f"{base}-{code}", "url": f"{URL}/SearchParameter/{base}-{code}",
        "version": "1.0.0", "name": code, "status": "active", "description": code, "code": code, "base": [base],
        "type": kind, "expression": expression, **more,
    }  # fmt: skip


def guide(
    name: str = "test.guide",
    version: str = "1.0.0",
    *resources: Json,
    files: Mapping[str, bytes] | None = None,
    **more: Any,
) -> bytes:
    """The archive of a guide: its manifest and these resources, each in a file of its own."""
    members = {"package/package.json": encode(manifest(name, version, **more))}
    for each in resources:
        members[f"package/{each['resourceType']}-{each['id']}.json"] = encode(each)
    return packed({**members, **(files or {})})


def archive(members: Iterable[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """Any archive: what a guide would not hold. `kind` and `target` are those of every member after the first."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as file:
        for index, (name, content) in enumerate(members):
            member = tarfile.TarInfo(name)
            if index and kind != tarfile.REGTYPE:
                member.type, member.linkname = kind, target
            else:
                member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), 6)


def hostile(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """An archive with a good manifest, and then these members."""
    return archive([("package/package.json", encode(manifest())), *members], kind, target)


def install(client: Client, content: bytes | None = None, **parameters: Any) -> Answer:
    """Call $install-package; `without_missing=True` and the like, or `name` and `version`."""
    given: list[Json] = []
    if content is not None:
        binary = {"resourceType": "Binary", "contentType": "application/gzip", "data": b64encode(content).decode()}
        given.append({"name": "content", "resource": binary})
    for name, value in parameters.items():
        kind = "valueBoolean" if isinstance(value, bool) else "valueString"
        given.append({"name": name.replace("_", "-"), kind: value})
    return client.post("$install-package", {"resourceType": "Parameters", "parameter": given})


def remove(client: Client, name: str, version: str | None = None) -> Answer:
    """Call $remove-package."""
    given = [{"name": "name", "valueString": name}]
    if version:
        given.append({"name": "version", "valueString": version})
    return client.post("$remove-package", {"resourceType": "Parameters", "parameter": given})


def told(answer: Answer, name: str = "note") -> list[Any]:
    """The values of an answer's parameters of a name; a dict of parts for those that have parts."""
    found: list[Any] = []
    for each in answer.json["parameter"]:
        if each["name"] == name:
            value = next((each[key] for key in each if key.startswith("value")), None)
            found.append(_parts(each) if "part" in each else value)
    return found


def _parts(parameter: Json) -> Json:
    parts: Json = {}
    for part in parameter["part"]:
        value = next(part[key] for key in part if key.startswith("value"))
        parts.setdefault(part["name"], []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in parts.items()}
