"""FHIR XML to the dict that JSON would give. https://hl7.org/fhir/R4/xml.html

Safe by construction: a document type is refused as it is met, so there are no entities to expand and nothing to fetch.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.core.errors import Invalid, Unprocessable
from fhir_server.core.resource_json import sent_decimal
from fhir_server.rest.xml_narrative import XHTML_NAMESPACE, Rebuilt
from fhir_server.rest.xml_writer import FHIR_NAMESPACE

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})
_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance "
_FHIR = FHIR_NAMESPACE + " "
_OWN_NAMESPACE = re.compile(rb"""<div\s(?:[^>"']|"[^"]*"|'[^']*')*?(?<=\s)xmlns\s*=""")
_DIV = XHTML_NAMESPACE + " div"


def from_xml(body: bytes, registry: Registry) -> dict[str, Any]:
    """The resource in an XML body (UTF-8).

    Raises `Invalid` (400, `structure`) when it is not XML, has a document type, or is no resource, and `Unprocessable`
    naming the path of an element or attribute that the structure does not have or that cannot be of its type.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Invalid("The body is not UTF-8.", code="structure") from None
    reader = _Reader(body, registry)
    try:
        reader.parser.Parse(body, True)
    except expat.ExpatError as error:
        where = f"{expat.ErrorString(error.code)}, line {error.lineno}, column {error.offset}"
        raise Invalid(f"The body is not well-formed XML ({where}).", code="structure") from None
    return reader.result


@dataclass(slots=True)
class _Frame:
    """An element being read. `structure` None: a wrapper of an inline resource (`contained`, `entry.resource`)."""

    structure: Structure | None
    element: Element | None
    path: str
    value: dict[str, Any] = field(default_factory=dict)
    text: Any = None
    counts: dict[str, int] = field(default_factory=dict)


class _Reader:
    def __init__(self, body: bytes, registry: Registry) -> None:
        self.body = body
        self.structures = registry.structures
        self.frames: list[_Frame] = []
        self.result: dict[str, Any] = {}
        self._div_start = 0
        self._div_depth = 0
        self._rebuilt: Rebuilt | None = None
        self.parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.ProcessingInstructionHandler = self._instruction
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _doctype(self, *_: Any) -> None:
        raise Invalid("A document type declaration is not accepted.", code="structure")

    def _instruction(self, *_: Any) -> None:
        raise Invalid("Processing instructions are not accepted.", code="structure")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._div_depth:
            self._div_depth += 1
            if self._rebuilt:
                self._rebuilt.start(name, attributes)
        elif name == _DIV and self.frames:
            self._start_div(name, attributes)
        elif not name.startswith(_FHIR):
            self._foreign(name)
        elif not self.frames or self.frames[-1].structure is None:
            self._start_resource(name[len(_FHIR):], attributes)
        else:
            self._start_element(name[len(_FHIR):], attributes)

    def _foreign(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        if not self.frames:
            raise Invalid(f"The root element must be in the namespace {FHIR_NAMESPACE}.", code="structure")
        raise Unprocessable(f"{self.frames[-1].path} has no element of this namespace.", expression=self._under(local))

    def _under(self, name: str) -> str:
        return f"{self.frames[-1].path}.{name}"

    def _start_resource(self, name: str, attributes: dict[str, str]) -> None:
        structure = self.structures.get(name)
        if structure is None or structure.kind != "resource" or structure.abstract:
            if not self.frames:
                raise Invalid("The root element is not a resource of FHIR R4.", code="structure")
            raise Unprocessable("This is not a resource of FHIR R4.", expression=self._under(name))
        if self.frames and self.frames[-1].value:
            raise Unprocessable("Only one resource can stand here.", expression=self._under(name))
        frame = _Frame(structure, None, self.frames[-1].path if self.frames else name, {"resourceType": name})
        self.frames.append(frame)
        self._read_attributes(frame, attributes)

    def _start_element(self, name: str, attributes: dict[str, str]) -> None:
        parent = self.frames[-1]
        assert parent.structure is not None
        element = parent.structure.elements.get(name)
        if element is None or element.representation:
            raise Unprocessable(f"{parent.path} has no element of this name.", expression=self._under(name))
        count = parent.counts.get(name, 0)
        parent.counts[name] = count + 1
        path = f"{parent.path}.{name}"
        if element.max != 1:
            path = f"{path}[{count}]"
        elif count:
            raise Unprocessable(f"{name} can appear once only.", expression=path)
        structure = None if element.type == "Resource" else self.structures[element.type]
        frame = _Frame(structure, element, path)
        self.frames.append(frame)
        self._read_attributes(frame, attributes)

    def _read_attributes(self, frame: _Frame, attributes: dict[str, str]) -> None:
        structure = frame.structure
        primitive = structure is not None and structure.kind == "primitive-type"
        for name, text in attributes.items():
            if primitive and name == "value":
                assert structure is not None
                frame.text = _typed(structure.name, text, frame.path)
                continue
            known = structure.elements.get(name) if structure else None
            if known is not None and known.representation == "xmlAttr":
                frame.value[name] = text
            elif not name.startswith(_SCHEMA_INSTANCE):
                local = name.rpartition(" ")[2]
                raise Unprocessable(f"{frame.path} has no attribute of this name.", expression=f"{frame.path}.{local}")

    def _start_div(self, name: str, attributes: dict[str, str]) -> None:
        parent = self.frames[-1]
        known = parent.structure.elements.get("div") if parent.structure else None
        if known is None or known.representation != "xhtml" or "div" in parent.value:
            raise Unprocessable(f"{parent.path} has no element of this name here.", expression=self._under("div"))
        self._div_start = self.parser.CurrentByteIndex
        self._div_depth = 1
        self._rebuilt = None
        if not _OWN_NAMESPACE.match(self.body, self._div_start):
            self._rebuilt = Rebuilt()
            self._rebuilt.start(name, attributes)

    def _end(self, name: str) -> None:
        if self._div_depth:
            self._div_depth -= 1
            if self._rebuilt:
                self._rebuilt.end(name)
            if not self._div_depth:
                self.frames[-1].value["div"] = self._div_text()
            return
        frame = self.frames.pop()
        if frame.element is not None:
            self._close(frame, frame.element, self.frames[-1])
        elif self.frames:
            self.frames[-1].value = frame.value
        else:
            self.result = frame.value

    def _div_text(self) -> str:
        """The narrative's own text, byte for byte where it stands for itself, so that nothing of it changes."""
        if self._rebuilt:
            return "".join(self._rebuilt.out)
        # For an empty-element tag expat reports the end at the tag's start.
        close = self.body.index(b">", self.parser.CurrentByteIndex) + 1
        return self.body[self._div_start:close].decode()

    def _characters(self, text: str) -> None:
        if self._div_depth:
            if self._rebuilt:
                self._rebuilt.text(text)
        elif text.strip():
            path = self.frames[-1].path if self.frames else None
            raise Unprocessable("Text is not allowed here: values are attributes.", expression=path)

    def _close(self, frame: _Frame, element: Element, parent: _Frame) -> None:
        """Put a finished element into its parent's value."""
        primitive = frame.structure is not None and frame.structure.kind == "primitive-type"
        if not frame.value and frame.text is None:
            raise Unprocessable("An element must have a value or content.", expression=frame.path)
        name = element.name
        own: Any = frame.text if primitive else frame.value
        sibling = (frame.value or None) if primitive else None
        if element.max == 1:
            if own is not None:
                parent.value[name] = own
            if sibling is not None:
                parent.value["_" + name] = sibling
            return
        _append(parent.value, name, parent.counts[name] - 1, own)
        _append(parent.value, "_" + name, parent.counts[name] - 1, sibling)


def _append(value: dict[str, Any], name: str, position: int, item: Any) -> None:
    """Add to an array that stands beside its `_name` twin: null where only the other has something."""
    held = value.get(name)
    if held is not None:
        held.append(item)
    elif item is not None:
        value[name] = [*[None] * position, item]


def _typed(type_name: str, text: str, path: str) -> Any:
    """The JSON value of a primitive's text."""
    if type_name == "boolean":
        if text not in ("true", "false"):
            raise Unprocessable("A boolean is true or false.", expression=path)
        return text == "true"
    if type_name in _INTEGERS:
        if not _INTEGER.match(text) or len(text) > 11:
            raise Unprocessable("This must be a whole number of 32 bits.", expression=path)
        return int(text)
    if type_name == "decimal":
        if not _DECIMAL.match(text):
            raise Unprocessable("This must be a decimal number.", expression=path)
        # JSON decodes a number without fraction or exponent as int: the same here.
        return int(text) if len(text) < 19 and _INTEGER.match(text) and text != "-0" else sent_decimal(text)
    return text
