"""Extensions of this server, by their definitions in `profiles/*/structures/`: known ones, at their place, with the
parts and the type of value that they have. Others' extensions are others' business.

https://hl7.org/fhir/R4/extensibility.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.core.errors import Issue

PREFIX = "urn:salam:StructureDefinition:"


@dataclass(slots=True)
class _Shape:
    """What an extension, or a part of one, may hold. `values`: properties such as `valueCode`; `most`: None for any
    number."""

    values: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    places: tuple[str, ...] = ()
    parts: dict[str, "_Shape"] = field(default_factory=dict)


@cache
def _shapes() -> Mapping[str, _Shape]:
    known = {}
    for definition in own_definitions("structures"):
        if definition["type"] == "Extension":
            places = tuple(context["expression"] for context in definition.get("context", ()))
            shape = _shape(definition["differential"]["element"], "Extension")
            shape.places = places
            known[definition["url"]] = shape
    return known


def _shape(elements: Sequence[Mapping[str, Any]], id_: str) -> _Shape:
    """The shape under an element's id (`Extension`, `Extension.extension:start`)."""
    own = next((element for element in elements if element["id"] == id_), {})
    most = own.get("max", "*")
    shape = _Shape(least=own.get("min", 0), most=None if most == "*" else int(most))
    for element in elements:
        name = element["id"]
        if name == f"{id_}.value[x]" and element.get("max") != "0":
            shape.values = tuple(_property(kind["code"]) for kind in element.get("type", ()))
        elif name.startswith(f"{id_}.extension:") and "." not in name[len(id_) + 11 :]:
            shape.parts[_url(elements, name)] = _shape(elements, name)
    return shape


def _url(elements: Sequence[Mapping[str, Any]], id_: str) -> str:
    fixed = next((element for element in elements if element["id"] == f"{id_}.url"), {})
    return str(fixed.get("fixedUri") or id_.rpartition(":")[2])


def _property(code: str) -> str:
    return f"value{code[:1].upper()}{code[1:]}"


def issues(resource: Mapping[str, Any]) -> list[Issue]:
    """What is wrong with this server's extensions on a resource; [] when nothing is, or it has none."""
    extensions = resource.get("extension", ())
    if not any(extension["url"].startswith(PREFIX) for extension in extensions):
        return []
    found: list[Issue] = []
    resource_type = resource["resourceType"]
    seen: dict[str, int] = {}
    for index, extension in enumerate(extensions):
        url = extension["url"]
        if not url.startswith(PREFIX):
            continue
        path = f"{resource_type}.extension[{index}]"
        shape = _shapes().get(url)
        if shape is None:
            found.append(Issue("error", "extension", "This server defines no such extension.", f"{path}.url"))
        elif shape.places and not {resource_type, "Resource", "DomainResource"} & set(shape.places):
            text = f"This extension stands on {', '.join(shape.places)}."
            found.append(Issue("error", "extension", text, path))
        else:
            seen[url] = seen.get(url, 0) + 1
            if shape.most is not None and seen[url] > shape.most:
                found.append(Issue("error", "structure", f"This extension may stand here {shape.most} times.", path))
            found.extend(_content(extension, shape, path))
    return found


def _content(extension: Mapping[str, Any], shape: _Shape, path: str) -> list[Issue]:
    found: list[Issue] = []
    given = [name for name in extension if name.startswith("value")]
    if any(name not in shape.values for name in given) or (shape.values and not given and not shape.parts):
        wanted = " or ".join(shape.values) or "parts and no value"
        found.append(Issue("error", "value", f"This extension has {wanted}.", path))
    counts: dict[str, int] = {}
    for index, part in enumerate(extension.get("extension", ())):
        inner = shape.parts.get(part["url"])
        counts[part["url"]] = counts.get(part["url"], 0) + 1
        if inner is None:
            text = f"There is no such part; there are: {', '.join(shape.parts) or 'none'}."
            found.append(Issue("error", "extension", text, f"{path}.extension[{index}].url"))
        else:
            found.extend(_content(part, inner, f"{path}.extension[{index}]"))
    for url, inner in shape.parts.items():
        count = counts.get(url, 0)
        if count < inner.least or (inner.most is not None and count > inner.most):
            most = "any number" if inner.most is None else inner.most
            found.append(Issue("error", "structure", f"The part {url} stands {inner.least} to {most} times.", path))
    return found
