"""Resources as FHIR XML. https://hl7.org/fhir/R4/xml.html"""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.core.errors import Unprocessable
from fhir_server.rest.xml_narrative import ESCAPES, narrative

FHIR_NAMESPACE = "http://hl7.org/fhir"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(resource: Mapping[str, Any], registry: Registry, *, pretty: bool = False) -> bytes:
    """The resource as UTF-8 XML; decimals keep their digits, the narrative its markup.

    Raises `Unprocessable` naming the element when it is none of the structure's or holds a character XML cannot carry.
    """
    writer = _Writer(registry.structures, pretty)
    writer.resource(resource, "", f' xmlns="{FHIR_NAMESPACE}"', 0)
    text = '<?xml version="1.0" encoding="UTF-8"?>' + "".join(writer.out)
    return (text + "\n" if pretty else text).encode()


class _Writer:
    def __init__(self, structures: Mapping[str, Structure], pretty: bool) -> None:
        self.structures = structures
        self.pretty = pretty
        self.out: list[str] = []

    def resource(self, value: Any, path: str, namespace: str, level: int) -> None:
        name = value.get("resourceType") if isinstance(value, dict) else None
        structure = self.structures.get(name) if isinstance(name, str) else None
        if structure is None or structure.kind != "resource":
            raise Unprocessable("This is not a resource of FHIR R4.", expression=path or None)
        self.element(structure.name, structure, value, path or structure.name, namespace, level)

    def element(self, tag: str, structure: Structure, value: Any, path: str, attributes: str, level: int) -> None:
        """A complex element: its attributes, then its children in the structure's order."""
        if not isinstance(value, dict):
            raise Unprocessable("An object is needed here.", expression=path)
        siblings = any(key[0:1] == "_" for key in value)
        seen = 1 if structure.kind == "resource" else 0
        children: list[tuple[Element, Any, Any]] = []
        for name, element in structure.elements.items():
            own = value.get(name)
            sibling = value.get("_" + name) if siblings else None
            if own is None and sibling is None:
                continue
            seen += (own is not None) + (sibling is not None)
            if element.representation == "xmlAttr":
                attributes += f' {name}="{_escaped(_text(own), f"{path}.{name}")}"'
            else:
                children.append((element, own, sibling))
        if seen < len(value):
            self._refuse_unknown(structure, value, path)
        self._line(level)
        if not children:
            self.out.append(f"<{tag}{attributes}/>")
            return
        self.out.append(f"<{tag}{attributes}>")
        for element, own, sibling in children:
            self._child(element, own, sibling, f"{path}.{element.name}", level + 1)
        self._line(level)
        self.out.append(f"</{tag}>")

    def _child(self, element: Element, own: Any, sibling: Any, path: str, level: int) -> None:
        if element.max == 1:
            self._one(element, own, sibling, path, level)
            return
        if not isinstance(own, list | None) or not isinstance(sibling, list | None):
            raise Unprocessable("An array is needed here.", expression=path)
        for position, (item, beside) in enumerate(zip_longest(own or (), sibling or ())):
            self._one(element, item, beside, f"{path}[{position}]", level)

    def _one(self, element: Element, own: Any, sibling: Any, path: str, level: int) -> None:
        if element.type == "Resource":
            self._line(level)
            self.out.append(f"<{element.name}>")
            self.resource(own, path, "", level + 1)
            self._line(level)
            self.out.append(f"</{element.name}>")
            return
        structure = self.structures[element.type]
        if structure.kind != "primitive-type":
            self.element(element.name, structure, own, path, "", level)
        elif element.representation == "xhtml":
            self._line(level)
            self.out.append(narrative(_checked(_text(own), path)))
        else:
            attribute = "" if own is None else f' value="{_escaped(_text(own), path)}"'
            self.element(element.name, structure, sibling or {}, path, attribute, level)

    def _line(self, level: int) -> None:
        if self.pretty:
            self.out.append("\n" + "  " * level)

    def _refuse_unknown(self, structure: Structure, value: Mapping[str, Any], path: str) -> None:
        for key, held in value.items():
            name = key.removeprefix("_")
            if held is not None and name not in structure.elements and key != "resourceType":
                raise Unprocessable(f"{path} has no element of this name.", expression=f"{path}.{name}")


def _text(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)


def _checked(text: str, path: str) -> str:
    if _NOT_XML.search(text):
        raise Unprocessable("A control character cannot be written as XML.", expression=path)
    return text


def _escaped(text: str, path: str) -> str:
    return _checked(text, path).translate(ESCAPES)
