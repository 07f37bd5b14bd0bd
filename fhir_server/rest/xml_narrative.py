"""The narrative's XHTML inside FHIR XML. https://hl7.org/fhir/R4/narrative.html#xhtml"""

import html
import re
from typing import Any
from xml.parsers import expat

XHTML_NAMESPACE = "http://www.w3.org/1999/xhtml"

_NAMED_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]*);")
_XML = "http://www.w3.org/XML/1998/namespace "
# A parser turns raw line breaks and tabs of an attribute into spaces: they are kept as character references.
ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)


def narrative(div: str) -> str:
    """An XHTML `div` that can stand inside XML: as it is when well-formed, else its text, escaped.

    HTML's named entities, which XML does not know, become characters.
    """
    if "&" in div:
        div = _NAMED_ENTITY.sub(lambda match: html.unescape(match[0]).translate(ESCAPES), div)
    div = div.strip()
    if is_div(div):
        return div
    plain = div.translate(ESCAPES)
    return f'<div xmlns="{XHTML_NAMESPACE}">{plain}</div>'


def is_div(text: str) -> bool:
    """Whether the text is one well-formed element `div` of XHTML without a document type."""
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    roots: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if not roots:
            roots.append(name)

    def doctype(*_: Any) -> None:
        roots.insert(0, "")

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError:
        return False
    return roots == [f"{XHTML_NAMESPACE} div"] and not text.startswith("<?")


class Rebuilt:
    """XHTML written again from parsed events: for a `div` whose namespace is declared outside it or by a prefix."""

    def __init__(self) -> None:
        self.out: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Open an element; names are `namespace local` as the parser gives them."""
        written = "".join(
            f' {("xml:" if key.startswith(_XML) else "") + key.rpartition(" ")[2]}="{value.translate(ESCAPES)}"'
            for key, value in attributes.items()
        )
        namespace = "" if self.out else f' xmlns="{XHTML_NAMESPACE}"'
        self.out.append(f"<{name.rpartition(' ')[2]}{namespace}{written}>")

    def text(self, text: str) -> None:
        """Character data."""
        self.out.append(html.escape(text, quote=False))

    def end(self, name: str) -> None:
        """Close an element, as an empty-element tag when nothing came in between."""
        local = name.rpartition(" ")[2]
        if self.out[-1].startswith(f"<{local}") and not self.out[-1].endswith("/>"):
            self.out[-1] = f"{self.out[-1][:-1]}/>"
        else:
            self.out.append(f"</{local}>")
