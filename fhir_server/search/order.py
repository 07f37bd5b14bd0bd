"""`_sort` as keys. https://hl7.org/fhir/R4/search.html#sort"""

from functools import lru_cache

import msgspec

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.errors import NotSupported
from fhir_server.core.keys import param_id, token_key, unit_key
from fhir_server.search import bounds
from fhir_server.search.elements import Target, single_valued, targets_of
from fhir_server.search.extract import primary_date
from fhir_server.search.sort import Column, Ranked, Rest, SortKey, Text, Value
from fhir_server.search.terms import unknown
from fhir_server.search.types.token import required_codes

_MOST_RANKS = 100
_KEYS_ONLY = ("_profile", "_source")
_INSIDE = {
    "CodeableConcept": ".coding.code",
    "Coding": ".code",
    "Identifier": ".value",
    "ContactPoint": ".value",
    "Reference": ".reference",
}


@lru_cache(maxsize=4096)
def parse_sort(registry: Registry, types: tuple[str, ...], text: str) -> tuple[SortKey, ...]:
    """The keys of a `_sort` value; without one, the resource's own time, newest first.

    Raises `NotSupported` for a parameter that cannot order, or, on several types, other than _id and _lastUpdated.
    """
    keys: list[SortKey] = []
    parts = text.split(",")
    bounds.check(len(parts), bounds.MOST_SORT_KEYS, "sort keys", "http._sort")
    for part in parts:
        name, desc = (part[1:], True) if part[:1] == "-" else (part, False)
        if name:
            keys.append(_key(registry, types, name, desc))
    if not keys:
        return (Column("ts", True),)
    if isinstance(keys[-1], Ranked):
        keys.append(Column("ts", True))
    if all(key.nullable for key in keys):
        keys.append(Rest(tuple(keys), keys[-1].desc))
    return tuple(keys)


def _key(registry: Registry, types: tuple[str, ...], name: str, desc: bool) -> SortKey:
    ids = registry.type_ids
    if name == "_lastUpdated":
        return Column("last_updated", desc, tuple(ids[t] for t in types))
    if name == "_id":
        return Column("id", desc)
    if len(types) != 1:
        raise _refusal(name, "On several types the order can be by _lastUpdated or _id.")
    resource_type = types[0]
    param = registry.search_params(resource_type).get(name)
    if param is None:
        raise unknown(resource_type, name, "_sort", list(registry.search_params(resource_type)))
    if name == primary_date(resource_type):
        return Column("ts", desc)
    codes = tuple(param_id(resource_type, code) for code in param.parts or (name,))
    if param.type in ("string", "uri") and name not in _KEYS_ONLY:
        return Value("string", codes, desc)
    if param.type == "date":
        return Value("date", codes, desc)
    if param.type in ("number", "quantity"):
        return Value("quantity", codes, desc, unit_key(None, None))
    if param.type in ("token", "reference", "uri"):
        return _ranked(registry, param, desc) or _text(registry, param, desc)
    raise _refusal(name, f"A {param.type} parameter has no order.")


def _refusal(name: str, why: str) -> NotSupported:
    return NotSupported(f"Results cannot be sorted by {name}. {why}", expression="http._sort")


def _ranked(registry: Registry, param: SearchParam, desc: bool) -> SortKey | None:
    targets = targets_of(registry, param)
    if len(targets) != 1 or not single_valued(registry, param):
        return None
    element = targets[0].element
    codes = ("false", "true") if element.type == "boolean" else required_codes(registry, element)
    if element.type not in ("boolean", "code") or not 0 < len(codes) <= _MOST_RANKS:
        return None
    return Ranked(tuple(token_key(param.resource_type, param.code, code) for code in codes), desc)


def _text(registry: Registry, param: SearchParam, desc: bool) -> SortKey:
    paths = [_json_path(target) for target in targets_of(registry, param)]
    if not paths:
        raise _refusal(param.code, "Its expression is more than a path.")
    return Text(tuple(dict.fromkeys(paths)), desc)


def _json_path(target: Target) -> str:
    parts = ["$"]
    for step in target.path.steps:
        parts.append(f'."{step.name}"')
        if step.where is not None:
            child, equals = step.where
            parts.append(f'[*] ? (@."{child}" == {msgspec.json.encode(equals).decode()})')
    return "".join(parts) + _INSIDE.get(target.element.type, "")
