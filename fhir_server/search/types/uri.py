"""uri parameters: the whole uri, or those above or below it. https://hl7.org/fhir/R4/search.html#uri"""

from collections.abc import Sequence

from fhir_server.core.keys import param_id, token_key
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.escape import unescape
from fhir_server.search.leaves import Keys
from fhir_server.search.ranges import StringIs
from fhir_server.search.tree import Node, any_of
from fhir_server.search.values.uri import ANY_VERSION

_LONGEST = 500


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a uri parameter."""
    usable = ("above", "missing") if asked.param.code == "_source" else ("above", "below", "missing")
    if asked.modifier and asked.modifier not in usable:
        raise asked.bad_modifier(usable)
    resource_type, code = asked.resource_type, asked.param.code
    if asked.modifier == "below" and code == "_profile":
        return lambda values, asker: Keys(tuple([key for value in values for key in _versions(asked, value)]))
    if asked.modifier == "below":
        param = param_id(resource_type, code)
        return lambda values, asker: any_of([StringIs(param, "sw", _uri(asked, v)[:_LONGEST]) for v in values])

    def match(values: Sequence[str], asker: Asker) -> Node:
        found = []
        for value in values:
            uri = _uri(asked, value)
            found.extend(_above(uri) if asked.modifier == "above" else [uri])
        return Keys(tuple([token_key(resource_type, code, form) for form in found]))

    return match


def _uri(asked: Asked, value: str) -> str:
    uri = unescape(value)
    if not uri:
        raise asked.bad_value("a uri")
    return uri


def _versions(asked: Asked, value: str) -> tuple[int, int]:
    """The keys of a profile: claimed without a version, and in any version."""
    uri = _uri(asked, value)
    return token_key(asked.resource_type, "_profile", uri), token_key(asked.resource_type, ANY_VERSION, uri)


def _above(uri: str) -> list[str]:
    """The uri and its prefixes at a slash or colon, with and without the slash."""
    found = [uri]
    start = uri.find("://") + 3 if "://" in uri else uri.find(":") + 1
    for at in range(len(uri) - 1, start - 1, -1):
        if uri[at] in "/:":
            found += [uri[: at + 1], uri[:at]]
    return list(dict.fromkeys(found))
