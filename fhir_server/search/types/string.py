"""string parameters: starts with, regardless of case and accents. https://hl7.org/fhir/R4/search.html#string"""

from collections.abc import Sequence

from fhir_server.core.keys import param_id, present_key, token_key
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.escape import unescape
from fhir_server.search.leaves import Keys
from fhir_server.search.ranges import StringIs
from fhir_server.search.text import normalize
from fhir_server.search.tree import And, Node, any_of

MODIFIERS = ("exact", "contains", "missing")


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a string parameter."""
    if asked.modifier not in ("", "exact", "contains"):
        raise asked.bad_modifier(MODIFIERS)
    one = _exact if asked.modifier == "exact" else _like
    return lambda values, asker: any_of([one(asked, unescape(value)) for value in values])


def _exact(asked: Asked, value: str) -> Node:
    resource_type, code = asked.resource_type, asked.param.code
    key = Keys((token_key(resource_type, f"{code}:exact", value),), False)
    return And((StringIs(param_id(resource_type, code), "eq", normalize(value)), key))


def _like(asked: Asked, value: str) -> Node:
    resource_type, code = asked.resource_type, asked.param.code
    plain = normalize(value)
    if not plain:
        return Keys((present_key(resource_type, code),), False)
    return StringIs(param_id(resource_type, code), "co" if asked.modifier == "contains" else "sw", plain)


def compare(asked: Asked, op: str, values: Sequence[str], asker: Asker) -> Node:
    """A string against an operator of `_filter`: `eq`, `sw`, `co`, `ew`, `gt` …"""
    param = param_id(asked.resource_type, asked.param.code)
    return any_of([StringIs(param, op, normalize(value)) for value in values])
