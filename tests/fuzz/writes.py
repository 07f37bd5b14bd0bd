"""Creates, updates, patches, deletes, Bundles and operations with bodies that are nearly right, or not at all."""

from random import Random
from typing import Any

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import encode
from fhir_server.rest.xml_format import to_xml
from tests.fuzz.generator import (
    ACCEPTS,
    CONTENT_TYPES,
    DATES,
    METHODS,
    TAGS,
    Sent,
    broken,
    mutated,
    samples,
    text,
    url,
    value,
)
from tests.fuzz.searches import search

GENDER = ["http://hl7.org/fhir/ValueSet/administrative-gender", "http://hl7.org/fhir/administrative-gender", "male", "1"]
OPERATIONS: dict[str, list[str]] = {
    "Patient/$validate": ["mode", "profile"],
    "Patient/f0/$validate": ["mode", "profile"],
    "Patient/f0/$everything": ["start", "end", "_since", "_type", "_count"],
    "Encounter/x/$everything": ["_since", "_type", "_count"],
    "Patient/f0/$meta": [],
    "Patient/$meta": [],
    "$meta": [],
    "Patient/f0/$meta-add": ["meta"],
    "Patient/f0/$meta-delete": ["meta"],
    "Observation/$lastn": ["max", "patient", "subject", "category", "code"],
    "ValueSet/$expand": ["url", "filter", "count", "offset", "valueSet", "displayLanguage", "activeOnly"],
    "ValueSet/$validate-code": ["url", "code", "system", "display", "coding", "codeableConcept"],
    "CodeSystem/$validate-code": ["url", "code", "version", "display"],
    "CodeSystem/$lookup": ["code", "system", "property", "coding"],
    "CodeSystem/$subsumes": ["codeA", "codeB", "system"],
    "$nonsense": ["x"],
    "Patient/$": ["x"],
}
PATCHES = ["add", "remove", "replace", "move", "copy", "test", "insert", "delete", "x", ""]
POINTERS = ["", "/", "/active", "/name/0", "/name/-", "/name/-1", "/name/99999999999", "/~", "/~2", "/a/b/c", "name", "/id"]
FHIRPATHS = [
    "Patient", "Patient.name", "Patient.name[0]", "Patient.name[0].given", "name", "Patient.nothing", "1+1", "(", "", "%x",
    "Patient.name.where(use='x')", "Observation", "Patient.extension", "Patient.descendants()", "Patient.id", "$this",
]  # fmt: skip


def write(random: Random) -> Sent:
    """A create, update, patch or delete, sometimes conditional."""
    resource = mutated(random, random.choice(samples())) if random.random() < 0.9 else value(random)
    name = str(resource.get("resourceType", "Patient")) if isinstance(resource, dict) else "Patient"
    if random.random() < 0.1:
        name = random.choice(base_registry().resource_types)
    body = encode(resource)
    if random.random() < 0.15:
        body = broken(random, body)
    method, path = random.choice([("POST", name), ("POST", name), ("PUT", f"{name}/f1"), ("PUT", name), ("DELETE", name)])
    if isinstance(resource, dict) and method == "PUT" and isinstance(resource.get("id"), str):
        path = f"{name}/{resource['id']}"
    query = random.choice(["", "", "", "", "identifier=x", "_id=zz", f"{text(random)}={text(random)}"])
    return Sent(method, url(random, path, query), body, headers(random))


def headers(random: Random) -> dict[str, str]:
    """None, or some that make sense with the wrong values."""
    chosen: dict[str, str] = {}
    choices = {
        "if_match": TAGS,
        "if_none_match": TAGS,
        "if_modified_since": DATES,
        "if_none_exist": ["identifier=x", "", "?", "x", "Patient?", "_id=q", text(random)],
        "accept": ACCEPTS,
        "content_type": CONTENT_TYPES,
        "prefer": ["return=minimal", "return=OperationOutcome", "return=x", "=", ";;", "handling=lenient"],
        "content_encoding": ["gzip", "identity", "x"],
        "accept_encoding": ["gzip", "x", ""],
        "x_request_id": ["x", "é", "a" * 500],
    }
    while random.random() < 0.2:
        name = random.choice(list(choices))
        chosen[name] = "".join(c for c in random.choice(choices[name]) if c.isprintable() and ord(c) < 256)
    return chosen


def xml(random: Random) -> Sent:
    """A write in XML."""
    resource = random.choice(samples())
    body = to_xml(resource, base_registry())
    for _ in range(random.choice([1, 1, 2])):
        body = broken(random, body) if random.random() < 0.5 else _swapped(random, body)
    kind = {"content_type": "application/fhir+xml", **({"accept": "application/fhir+xml"} if random.random() < 0.5 else {})}
    path = random.choice([str(resource["resourceType"]), f"{resource['resourceType']}/f1", "", "Patient"])
    return Sent("PUT" if "/" in path else "POST", path, body, kind)


def _swapped(random: Random, body: bytes) -> bytes:
    pieces = body.split(b"<")
    one, two = random.randrange(len(pieces)), random.randrange(len(pieces))
    pieces[one], pieces[two] = pieces[two], pieces[one]
    return b"<".join(pieces)


def patch(random: Random) -> Sent:
    """A JSON Patch or FHIRPath Patch."""
    path = random.choice(["Patient/f0", "Patient/f0", "Observation/f0", "Patient/none", "Patient?identifier=f0", "Patient"])
    if random.random() < 0.5:
        steps: Any = [_step(random) for _ in range(random.choice([0, 1, 1, 2]))]
        kind = {"content_type": "application/json-patch+json"}
        return Sent("PATCH", path, encode(steps if random.random() < 0.9 else value(random)), {**headers(random), **kind})
    operations = [{"name": "operation", "part": _parts(random)} for _ in range(random.choice([1, 1, 2]))]
    body = {"resourceType": "Parameters", "parameter": operations}
    if random.random() < 0.3:
        body = mutated(random, body)
    return Sent("PATCH", path, encode(body), {"content_type": "application/fhir+json"})


def _step(random: Random) -> dict[str, Any]:
    step = {"op": random.choice(PATCHES), "path": random.choice(POINTERS), "value": value(random)}
    if random.random() < 0.4:
        step["from"] = random.choice(POINTERS)
    if random.random() < 0.2:
        del step[random.choice(list(step))]
    if random.random() < 0.1:
        step[random.choice(list(step) or ["op"])] = value(random)
    return step


def _parts(random: Random) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"name": "type", "valueCode": random.choice(PATCHES)},
        {"name": "path", "valueString": random.choice(FHIRPATHS)},
        {"name": "name", "valueString": random.choice(["active", "name", "nothing", "", "id", "extension"])},
        {"name": "index", "valueInteger": random.choice([0, 1, -1, 10**9])},
        {"name": "source", "valueInteger": random.choice([0, 1, -1, 10**9])},
        {"name": "destination", "valueInteger": random.choice([0, 1, -1, 10**9])},
        {"name": "value", random.choice(["valueBoolean", "valueString", "valueHumanName", "part", "x"]): value(random)},
    ]
    return [part for part in parts if random.random() < 0.8]


def bundle(random: Random) -> Sent:
    """A batch or transaction of other requests."""
    entries = [_entry(random) for _ in range(random.choice([0, 1, 2, 3, 5]))]
    body: Any = {"resourceType": "Bundle", "type": random.choice(["batch", "transaction", "batch", "transaction", "x"])}
    body["entry"] = entries
    if random.random() < 0.3:
        body = mutated(random, body)
    return Sent("POST", "", encode(body), headers(random) if random.random() < 0.2 else {})


def _entry(random: Random) -> dict[str, Any]:
    method = random.choice(["GET", "POST", "PUT", "PATCH", "DELETE"])
    resource = random.choice(samples()) if random.random() < 0.7 else mutated(random, random.choice(samples()))
    name = str(resource.get("resourceType")) if isinstance(resource, dict) else "Patient"
    asked = search(random).path if method == "GET" else random.choice([name, f"{name}/f2", f"{name}?identifier=x", text(random)])
    request = {"method": method, "url": asked}
    while random.random() < 0.3:
        request[random.choice(["ifMatch", "ifNoneExist", "ifNoneMatch", "ifModifiedSince"])] = random.choice([*TAGS, text(random)])
    full = {"fullUrl": random.choice(["urn:uuid:1", "urn:uuid:2", text(random)])} if random.random() < 0.6 else {}
    body = {"resource": resource} if method in ("POST", "PUT", "PATCH") else {}
    return {**full, **body, "request": request}


def operation(random: Random) -> Sent:
    """An operation by GET or POST."""
    place = random.choice(list(OPERATIONS))
    names = [*OPERATIONS[place], *([text(random)] if random.random() < 0.1 else [])] or ["x"]
    chosen = [random.choice(names) for _ in range(random.choice([0, 1, 2, 3]))]
    if random.random() < 0.5:
        return Sent("GET", url(random, place, "&".join(f"{name}={_argument(random)}" for name in chosen)))
    if random.random() < 0.4:
        return Sent("POST", place, encode(mutated(random, random.choice(samples()))), headers(random))
    kinds = ["valueUri", "valueString", "valueCode", "valueCoding", "valueMeta", "valueInteger", "resource", "part"]
    parameters = [{"name": name, random.choice(kinds): _typed(random)} for name in chosen]
    return Sent("POST", place, encode({"resourceType": "Parameters", "parameter": parameters}), headers(random))


def _typed(random: Random) -> Any:
    if random.random() < 0.5:
        return _argument(random)
    return random.choice([value(random), {"system": GENDER[1], "code": "male"}, {"tag": [{"code": text(random)}]}])


def _argument(random: Random) -> str:
    return random.choice(GENDER) if random.random() < 0.6 else text(random)


def path(random: Random) -> Sent:
    """Any method on any path."""
    words = ["Patient", "Patient", "f0", "_history", "_search", "metadata", "$everything", "1", "*", "Nonsense", text(random)]
    parts = "/".join(random.choice(words) for _ in range(random.choice([0, 1, 2, 3, 4, 6])))
    body = encode(value(random)) if random.random() < 0.3 else None
    return Sent(random.choice(METHODS), url(random, parts, random.choice(["", "", text(random)])), body, headers(random))
