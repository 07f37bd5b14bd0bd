"""Requests that no sensible client sends, the same ones for the same seed."""

from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any
from urllib.parse import quote

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode, encode
from tests.rest.bodies import patient, weight
from tests.shared_data import examples

TEXTS = [
    "", " ", "x", "0", "-1", "1e400", "NaN", "true", "null", "2020", "2020-02-30", "2020-13", "0000-00-00", "9999-12-31",
    "2020-01-01T25:00:00Z", "2020-01-01T00:00:00+99:99", "24:00:00", "\x00", "a\x00b", "\n", "\u2028", "é", "👩‍⚕️", "%", "%%",
    "_", "\\", "'", '"', "';--", "$", "$1", "{}", "[]", "|", "||", "a|b|c", ",", ",,", "a,b", "\\,", "#", "#x", "/", "//",
    "..", "../../etc/passwd", "urn:uuid:", "urn:oid:1", "urn:uuid:zzz", "http://", "http://[", "http://[::1", "Patient/",
    "Patient/x", "Patient/x/_history/1", "Patient?name=x", "/Patient/x", "Nonsense/x", "<div>", "<a/>", "&amp;", "(", "(()",
    "name eq 'x'", "Patient.name", "1 'mg'", "5.4|http://unitsofmeasure.org|mg", "||mg", "1||[bad", "a" * 300, "a" * 9000,
    "(" * 200, "a." * 200, "9" * 400, "1" + "0" * 60, "0." + "0" * 60 + "1", "٣", "１", "\ufeff", "\u202e", "e\u0301",
    "ß", "İ", "ᾳ", "*", "-", "-x", "--", ":", ":missing", "eq", "gt", "eqx", "ap", "sa2020", "ne", "null,null", "@2020", "%now",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**70), 10**400, Decimal("1e400"), Decimal("-1e-400"),
    Decimal("0.1"), Decimal("1E+5"), [], {}, [[]], [{}], [None], [[None]], {"a": 1}, {"": ""}, {"resourceType": "Patient"},
    {"resourceType": 7}, {"extension": []}, {"url": "x"}, {"reference": {}}, {"coding": {}}, {"value": []}, ["x"] * 3,
]  # fmt: skip
ACCEPTS = [
    "", "*/*", "application/fhir+json", "application/fhir+xml", "text/html", "application/*;q=0", ";", ",", "q=1",
    "application/fhir+json;fhirVersion=9", "a" * 500, "application/fhir+xml;q=x", "application/fhir+json;q=-1", "é",
]  # fmt: skip
CONTENT_TYPES = [
    "application/fhir+json", "application/json", "application/fhir+xml", "application/json-patch+json", "text/plain",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/octet-stream", ";", "é/é",
]  # fmt: skip
TAGS = ['W/"1"', '"1"', "*", 'W/"0"', 'W/"-1"', 'W/"x"', "", ",", '"', "W/", '"' * 50, 'W/"99999999999999999999"', "é"]
DATES = ["", "yesterday", "Wed, 01 Jan 2020 00:00:00 GMT", "Wed, 99 Jan 2020 00:00:00 GMT", "0", "é", "Wed, 01 Jan 99999"]
MODIFIERS = [
    "exact", "contains", "missing", "text", "not", "in", "not-in", "above", "below", "of-type", "identifier", "Patient",
    "iterate", "nonsense", "", ":", "exact:exact", "recurse", "ofType", "text-advanced",
]  # fmt: skip
PREFIXES = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "", "", "", "xx"]
RESULTS = [
    "_count", "_sort", "_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_summary", "_elements",
    "_total", "_contained", "_containedType", "_cursor", "_format", "_pretty", "_type", "_id", "_lastUpdated", "_tag",
    "_profile", "_security", "_source", "_text", "_content", "_list", "_filter", "_has", "_query", "_since", "_at",
    "_explain", "_has:Observation:patient:code", "_has:Observation:patient", "_has:x:y:z", "_has:", "_typeFilter",
]  # fmt: skip
METHODS = ["GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "get", "FOO"]


@dataclass(slots=True)
class Sent:
    """A request. `headers` as tests.client.Client.request takes them."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@cache
def samples() -> list[dict[str, Any]]:
    """Valid resources to start from: the official examples where they are, else a few of our own."""
    found = [decode(text) for _, text in examples() if len(text) < 12_000]
    own = [patient("x", contact=[{"name": {"text": "c"}}]), weight("Patient/x"), capability()]
    return own + [one for one in found if one.get("resourceType") in base_registry().structures]


def capability() -> dict[str, Any]:
    """A SearchParameter, which changes the tenant's definitions when it is stored."""
    return {
        "resourceType": "SearchParameter",
        "url": "http://example.org/sp",
        "name": "sp",
        "status": "active",
        "description": "d",
        "code": "fuzzed",
        "base": ["Patient"],
        "type": "token",
        "expression": "Patient.maritalStatus",
    }


def text(random: Random) -> str:
    """A text value."""
    if random.random() < 0.2:
        return "".join(chr(random.choice([random.randrange(1, 128), random.randrange(1, 0xD7FF)])) for _ in range(5))
    return random.choice(TEXTS)


def value(random: Random) -> Any:
    """Any JSON value, one's own copy."""
    return deepcopy(random.choice(VALUES)) if random.random() < 0.5 else text(random)


def mutated(random: Random, resource: Any) -> Any:
    """A copy with one to three things in it changed."""
    changed = decode(encode(resource))
    for _ in range(random.choice([1, 1, 2, 3])):
        _mutate(random, changed)
    return changed


def _places(node: Any, found: list[tuple[Any, Any]]) -> None:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in pairs:
        found.append((node, key))
        _places(child, found)


def _mutate(random: Random, root: Any) -> None:
    places: list[tuple[Any, Any]] = []
    _places(root, places)
    if not places:
        return
    node, key = random.choice(places)
    match random.randrange(9):
        case 0 | 1 | 2:
            node[key] = value(random)
        case 3:
            del node[key]
        case 4:
            node[key] = [node[key]]
        case 5:
            other, name = random.choice(places)
            node[key] = decode(encode(other[name])) if name in other or isinstance(other, list) else None
        case 6 if isinstance(node, dict):
            node[random.choice(["_", "x", "value", "_x", ""]) + str(key)] = node.pop(key)
        case 7 if isinstance(node, dict):
            node[random.choice(["extension", "modifierExtension", "contained", "id", "_id", "meta", "text"])] = value(random)
        case _ if isinstance(node, list):
            node.extend([node[key]] * random.choice([1, 3]))
        case _:
            node[key] = {str(key): node[key]}


def broken(random: Random, data: bytes) -> bytes:
    """Bytes with some of them changed, cut or doubled."""
    if not data:
        return b"\xff"
    at = random.randrange(len(data))
    match random.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at] + random.choice([b'"', b"{", b"[", b",", b"\\", b"\x00", b"\xff", b"<", b"&"]) + data[at:]
        case 3:
            return data + data[at:]
        case _:
            return data[:at] + data[at + random.randrange(1, 20) :]


def url(random: Random, path: str, query: str = "") -> str:
    """A path and query whose characters a client would send: encoded, mostly."""
    if random.random() < 0.9:
        path = quote(path, safe="/$*._-")
        query = quote(query, safe="=&:,|._-$")
    else:
        path, query = (quote(part, safe="/=&:,|._-$%+;?*'()") for part in (path, query))
    # Without a slash in front: paths are below the FHIR base.
    return f"{path}?{query}".lstrip("/") if query else path.lstrip("/")
