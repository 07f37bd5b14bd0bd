"""A small checker of resources against this server's own profiles: what their differentials say about cardinality, fixed
and pattern values, codes, extensions and constraints. What R4 itself says is `$validate`'s business."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode, encode
from fhir_server.fhirpath import compile_expression

Json = dict[str, Any]
_PREFIX = "urn:salam:StructureDefinition:"


@cache
def profile(name: str) -> Json:
    """A profile of profiles/*/structures by its id."""
    (found,) = (each for each in own_definitions("structures") if each["id"] == name)
    return found


def problems(resource: Json, name: str) -> list[str]:
    """What in a resource breaks a profile: the id of the element, and how. Empty when it conforms."""
    found: list[str] = []
    for element in profile(name)["differential"]["element"]:
        parents = _at(resource, element["path"].split(".")[1:-1])
        for parent in parents if "." in element["path"] else [resource]:
            found += (
                f"{element['id']}: {what}"
                for what in _broken(element, _values(parent, element), resource["resourceType"])
            )
    return found


def _at(resource: Json, names: list[str]) -> list[Json]:
    found: list[Any] = [resource]
    for name in names:
        found = [each for value in found for each in _list(value.get(name))]
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _values(parent: Json, element: Json) -> list[Any]:
    """The values of an element within its parent; of a slice of extensions only those with its url."""
    if "." not in element["path"]:
        return [parent]
    found = _list(parent.get(element["path"].rpartition(".")[2]))
    if "sliceName" in element:
        (url,) = element["type"][0]["profile"]
        found = [each for each in found if each["url"] == url]
    return found


def _broken(element: Json, values: list[Any], kind: str) -> Iterator[str]:
    if len(values) < element.get("min", 0):
        yield f"{len(values)} instead of at least {element['min']}"
    if element.get("max", "*") != "*" and len(values) > int(element["max"]):
        yield f"{len(values)} instead of at most {element['max']}"
    for value in values:
        for key, wanted in element.items():
            if (key.startswith("fixed") and value != wanted) or (key.startswith("pattern") and not _has(value, wanted)):
                yield f"{value} is not {wanted}"
        if "binding" in element and not any(
            _code(each) in _codes(element["binding"]["valueSet"]) for each in value["coding"]
        ):
            yield f"{value} is not in {element['binding']['valueSet']}"
        for rule in element.get("constraint", ()):
            # As the server reads resources: FHIRPath needs decimals exact.
            nodes = compile_expression(rule["expression"], kind, base_registry())(decode(encode(value)))
            if [value for _, value, *_ in nodes] != [True]:
                yield rule["key"]


def _has(value: Any, wanted: Any) -> bool:
    """Whether a value holds all that a pattern says."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(_has(value.get(key), each) for key, each in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and all(any(_has(one, each) for one in value) for each in wanted)
    return bool(value == wanted)


def _code(coding: Json) -> tuple[str | None, str | None]:
    return coding.get("system"), coding.get("code")


@cache
def _codes(url: str) -> frozenset[tuple[str | None, str | None]]:
    (value_set,) = (each for each in own_definitions("value-sets") if each["url"] == url)
    systems = {each["url"]: each for each in own_definitions("code-systems")}
    named = [include["system"] for include in value_set["compose"]["include"]]
    return frozenset((system, concept["code"]) for system in named for concept in systems[system]["concept"])
