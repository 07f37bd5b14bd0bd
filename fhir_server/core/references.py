"""References as text: literal, absolute, versioned, contained, logical.

https://hl7.org/fhir/R4/references.html#literal
"""

import re
from dataclasses import dataclass

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_LITERAL = re.compile(
    r"(?P<base>https?://.+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?\Z"
)


@dataclass(frozen=True, slots=True)
class Literal:
    """A reference of the form `[base/]Type/id[/_history/version]`. `base` ends with a slash or is None."""

    type: str
    id: str
    base: str | None = None
    version: str | None = None

    @property
    def local(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


def parse_literal(text: str) -> Literal | None:
    """Split a literal reference; None when the text is a urn, a fragment, a canonical or a query."""
    match = _LITERAL.match(text)
    if match is None:
        return None
    return Literal(match["type"], match["id"], match["base"], match["version"])


def local_form(text: str, base: str) -> str:
    """The text by which a reference is indexed: `Type/id` when it points into `base` (this tenant), else as given
    without a version. `base` is the tenant's FHIR base without a closing slash."""
    literal = parse_literal(text)
    if literal is None:
        return text
    if literal.base is None or literal.base == base + "/":
        return literal.local
    return f"{literal.base}{literal.local}"
