"""Elements of large XML files one after the other, without building the document.

A document may name its type, as ClaML does, but what that declares is not read: entities of its own are refused, and
nothing is fetched.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.parsers import expat

from fhir_server.core.errors import Unprocessable

_BLOCK = 1 << 16
_DEEPEST = 100


@dataclass(slots=True)
class Element:
    """An element by its local name. `text`: what stands before its first child; `tail`: behind the element."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)
    text: str = ""
    tail: str = ""

    def all(self, name: str) -> Iterator["Element"]:
        """The children of a name."""
        return (child for child in self.children if child.name == name)

    def words(self) -> str:
        """All text within, white space as one blank."""
        return " ".join(self._pieces().split())

    def _pieces(self) -> str:
        return self.text + "".join(child._pieces() + child.tail for child in self.children)


def elements(file: BinaryIO, name: str, wanted: Collection[str]) -> Iterator[Element]:
    """The elements of these names that stand in no other of them, each with what is in it. Raises `Unprocessable` for
    what is no XML, with the line."""
    reader = _Reader(wanted)
    try:
        while block := file.read(_BLOCK):
            reader.parser.Parse(block, False)
            yield from reader.take()
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unprocessable(f"{name}, line {error.lineno}: this is no XML: {expat.ErrorString(error.code)}.") from None
    except _Refused as error:
        raise Unprocessable(f"{name}: {error}") from None
    yield from reader.take()


class _Refused(Exception):
    """What no terminology has."""


class _Reader:
    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._open: list[Element] = []
        self._depth = 0
        self._ready: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.EntityDeclHandler = self._entity
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def take(self) -> list[Element]:
        ready, self._ready = self._ready, []
        return ready

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Refused(f"elements are nested more than {_DEEPEST} deep.")
        local = name.rpartition(":")[2]
        if self._open or local in self._wanted:
            plain = {title.rpartition(":")[2]: text for title, text in attributes.items()}
            element = Element(local, plain)
            if self._open:
                self._open[-1].children.append(element)
            self._open.append(element)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._open:
            element = self._open.pop()
            if not self._open:
                self._ready.append(element)

    def _data(self, text: str) -> None:
        if self._open:
            inside = self._open[-1]
            if inside.children:
                inside.children[-1].tail += text
            else:
                inside.text += text

    def _entity(self, *_: object) -> None:
        raise _Refused("the document declares entities, which is refused.")
