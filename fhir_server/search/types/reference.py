"""reference parameters. https://hl7.org/fhir/R4/search.html#reference"""

from collections.abc import Sequence
from functools import lru_cache

from fhir_server.conformance.registry import Registry
from fhir_server.core.keys import param_id, target_key, token_key
from fhir_server.core.references import ID, local_form, parse_literal
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.elements import targets_of
from fhir_server.search.escape import split, unescape
from fhir_server.search.leaves import Keys, Refers
from fhir_server.search.tree import PROBE, SURE, UNIQUE, Node, Nothing

_EXPECTED = "an id, Type/id, an absolute URL or a canonical URL"


def target_types(asked: Asked) -> tuple[str, ...]:
    """The types that the parameter can point to."""
    return asked.param.targets or asked.registry.resource_types


@lru_cache(maxsize=64)
def personal_types(registry: Registry) -> frozenset[str]:
    """Types whose resources belong to one patient, so that few others point at each; an organization may be pointed
    at by everything."""
    return frozenset(name for name, codes in registry.compartments["Patient"].items() if codes) | {"Patient"}


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a reference parameter."""
    if asked.modifier == "identifier":
        return lambda values, asker: _identifier(asked, values)
    types = target_types(asked)
    if asked.modifier:
        if asked.modifier not in asked.registry.type_ids:
            raise asked.bad_modifier(("identifier", "missing", "[a resource type]"))
        types = (asked.modifier,)
    resource_type, code = asked.resource_type, asked.param.code
    param = param_id(resource_type, code)
    personal = personal_types(asked.registry)
    canonical = any(t.element.type in ("canonical", "uri", "url") for t in targets_of(asked.registry, asked.param))

    def match(values: Sequence[str], asker: Asker) -> Node:
        found: dict[str, None] = {}
        for value in values:
            for form in _forms(asked, unescape(value), asker.base, types, canonical):
                found[form] = None
        if not found:
            return Nothing()
        keys = tuple([token_key(resource_type, code, form) for form in found])
        rank = SURE if all(form.partition("/")[0] in personal for form in found) else PROBE
        return Refers(param, tuple([target_key(form) for form in found]), keys, rank)

    return match


def _forms(asked: Asked, value: str, base: str, types: Sequence[str], canonical: bool) -> list[str]:
    if not value:
        raise asked.bad_value(_EXPECTED)
    if "/" not in value and ":" not in value:
        if ID.match(value) is None:
            if canonical:
                return [value]
            raise asked.bad_value(_EXPECTED)
        return [f"{name}/{value}" for name in types]
    local = local_form(value, base)
    literal = parse_literal(local)
    if literal is not None and literal.base is None and literal.type not in types:
        return [value] if canonical else []
    return list(dict.fromkeys((local, value))) if canonical else [local]


def _identifier(asked: Asked, values: Sequence[str]) -> Node:
    keys, indexed = [], True
    for value in values:
        parts = [unescape(part) for part in split(value, "|")]
        if len(parts) > 2 or not any(parts):
            raise asked.bad_value("an identifier: value, system|value, |value or system|")
        indexed = indexed and bool(parts[-1])
        keys.append(token_key(asked.resource_type, f"{asked.param.code}:identifier", "|".join(parts)))
    return Keys(tuple(keys), indexed, UNIQUE)
