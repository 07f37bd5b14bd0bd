"""`_summary` and `_elements` on stored JSON. https://hl7.org/fhir/R4/search.html#summary"""

from collections.abc import Sequence

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.core.resource_json import decode, encode
from fhir_server.interactions.summary import subset

_SUMMARIES = ("true", "text", "data", "count", "false")


def asked(query: Sequence[tuple[str, str]]) -> tuple[str | None, tuple[str, ...]]:
    """The values of `_summary` and `_elements`. Raises `Invalid` for a summary that does not exist."""
    summary: str | None = None
    elements: tuple[str, ...] = ()
    for name, value in query:
        if name == "_summary":
            if value not in _SUMMARIES:
                known = ", ".join(_SUMMARIES)
                raise Invalid(f"_summary takes one of {known}.", expression="http._summary", code="value")
            summary = None if value == "false" else value
        elif name == "_elements":
            elements += tuple(part.strip() for part in value.split(",") if part.strip())
    return summary, elements


def shaped(ctx: Context, body: bytes, query: Sequence[tuple[str, str]]) -> bytes:
    """The resource's JSON with only what the query asks for; unchanged JSON text when it asks for nothing."""
    summary, elements = asked(query)
    if summary is None and not elements:
        return body
    return encode(subset(decode(body), ctx.registry, summary=summary, elements=elements))
