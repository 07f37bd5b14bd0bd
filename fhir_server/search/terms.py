"""From a parameter's name to the compiler of its values: modifiers, chains, `_has` and the parameters of every type."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import lru_cache

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.errors import Invalid
from fhir_server.core.keys import param_id, present_key, self_key
from fhir_server.core.references import parse_literal
from fhir_server.search import bounds
from fhir_server.search.asked import Asked, Asker, Term, UnsupportedParameter
from fhir_server.search.escape import split, unescape
from fhir_server.search.leaves import Keys, Self, either
from fhir_server.search.links import Chain, Has
from fhir_server.search.tree import Node, Not, all_of, any_of
from fhir_server.search.types import date, number, pair, quantity, reference, special, string, token, uri

# From one value as it stands in the URL (commas still in it) to the condition.
Condition = Callable[[str, Asker], Node]

COMPILERS: dict[str, Callable[[Asked], Term]] = {
    "token": token.compile_term,
    "string": string.compile_term,
    "date": date.compile_term,
    "number": number.compile_term,
    "quantity": quantity.compile_term,
    "reference": reference.compile_term,
    "uri": uri.compile_term,
    "composite": pair.compile_term,
    "special": special.compile_term,
}
_OF_EVERY_TYPE = ("_text", "_content", "_list", "_has", "_filter")
_MOST_CHAINED_TYPES = 12


@lru_cache(maxsize=8192)
def condition(registry: Registry, resource_type: str, name: str, full_name: str = "") -> Condition:
    """The compiler for a parameter as named in a query, `code`, `code:modifier`, `ref:Type.rest` or `_has:…`.

    `full_name`: the whole name when this is the inner part of a chain. Raises `UnsupportedParameter`.
    """
    full_name = full_name or name
    bounds.check_chain(full_name)
    if name.startswith("_has:"):
        return _has(registry, resource_type, name, full_name)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    if dot:
        return _chain(Asked(registry, _param(registry, resource_type, code, full_name), modifier, full_name), rest)
    if code in ("_text", "_content", "_list"):
        param = SearchParam(code, "special", "", resource_type, "")
        asked = Asked(registry, param, modifier, full_name)
        return _spread(asked, _list_term(asked) if code == "_list" else _words_term(asked))
    asked = Asked(registry, _param(registry, resource_type, code, full_name), modifier, full_name)
    if asked.param.parts:
        return _gathered(asked)
    if asked.param.conjuncts:
        return _joined(asked)
    if modifier == "missing":
        return _missing(asked)
    if code == "_id":
        return _spread(asked, _id_term(asked))
    if code == "_lastUpdated":
        return _spread(asked, date.updated(asked, (registry.type_ids[resource_type],)))
    return _spread(asked, COMPILERS[asked.param.type](asked))


def _param(registry: Registry, resource_type: str, code: str, name: str) -> SearchParam:
    params = registry.search_params(resource_type)
    param = params.get(code)
    if param is None:
        raise unknown(resource_type, code, name, [*params, *_OF_EVERY_TYPE])
    if (resource_type, code) in registry.pending:
        raise UnsupportedParameter(
            f"{code} of {resource_type} is still being indexed; it can be searched when that is done.",
            expression=f"http.{name}",
        )
    return param


def unknown(resource_type: str, code: str, name: str, known: Sequence[str]) -> UnsupportedParameter:
    """The error for a parameter that the type does not have, naming the nearest that it has."""
    near = get_close_matches(code, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UnsupportedParameter(
        f"{resource_type} has no search parameter {code!r}.{hint} Prefer: handling=lenient ignores unknown parameters.",
        expression=f"http.{name}",
    )


def _spread(asked: Asked, term: Term) -> Condition:
    search_type, name = asked.param.type, asked.name

    def compiled(value: str, asker: Asker) -> Node:
        values = split(value, ",")
        if len(values) > 1:
            bounds.check_values(values, search_type, name)
        return term(values, asker)

    return compiled


def _gathered(asked: Asked) -> Condition:
    """A parameter without rows of its own: one of its parts must hold, or all when the condition says what is not."""
    suffix = f":{asked.modifier}" if asked.modifier else ""
    parts = [condition(asked.registry, asked.resource_type, code + suffix, asked.name) for code in asked.param.parts]

    def compiled(value: str, asker: Asker) -> Node:
        nodes = [part(value, asker) for part in parts]
        negative = asked.modifier in ("not", "not-in") or (asked.modifier == "missing" and value == "true")
        return all_of(nodes) if negative else either(nodes)

    return compiled


def _joined(asked: Asked) -> Condition:
    """A composite of the resource as a whole: `a$b` is both of its components together."""
    codes = asked.param.conjuncts
    suffix = ":missing" if asked.modifier == "missing" else ""
    if asked.modifier and not suffix:
        raise asked.bad_modifier(("missing",))
    components = [condition(asked.registry, asked.resource_type, code + suffix, asked.name) for code in codes]

    def absent(value: str, asker: Asker) -> Node:
        nodes = [component(value, asker) for component in components]
        return any_of(nodes) if value == "true" else all_of(nodes)

    def compiled(value: str, asker: Asker) -> Node:
        found = []
        for each in split(value, ","):
            texts = split(each, "$")
            if len(texts) != len(codes) or not all(texts):
                raise asked.bad_value(f"{len(codes)} parts joined by $: {'$'.join(codes)}")
            found.append(all_of([of(text, asker) for of, text in zip(components, texts, strict=True)]))
        return any_of(found)

    return absent if suffix else compiled


def _missing(asked: Asked) -> Condition:
    present = Keys((present_key(asked.resource_type, asked.param.code),), False)

    def compiled(value: str, asker: Asker) -> Node:
        if value not in ("true", "false"):
            raise asked.bad_value("true or false")
        if asked.param.code in ("_id", "_lastUpdated"):
            always = Keys((), False)
            return always if value == "true" else Not(always)
        return Not(present) if value == "true" else present

    return compiled


def _id_term(asked: Asked) -> Term:
    if asked.modifier:
        raise asked.bad_modifier(())
    name = asked.resource_type
    return lambda values, asker: Self(tuple([self_key(name, unescape(value)) for value in values]))


def _words_term(asked: Asked) -> Term:
    if asked.modifier:
        raise asked.bad_modifier(())
    return lambda values, asker: token.text_match(asked, asked.param.code, values)


def _list_term(asked: Asked) -> Term:
    if asked.modifier:
        raise asked.bad_modifier(())
    param, type_id = param_id("List", "item"), asked.registry.type_ids[asked.resource_type]

    def match(values: Sequence[str], asker: Asker) -> Node:
        keys = []
        for value in values:
            literal = parse_literal(value if "/" in value else f"List/{value}")
            if literal is None or literal.type != "List":
                raise asked.bad_value("the id of a List (functional lists such as $current-problems are not kept)")
            keys.append(self_key("List", literal.id))
        asker.must_see("List", asked.name)
        return Has(param, type_id, all_of([Self(tuple(keys)), *asker.limits("List")]))

    return match


def _chain(asked: Asked, rest: str) -> Condition:
    if asked.param.type != "reference":
        raise UnsupportedParameter(
            f"{asked.param.code} of {asked.resource_type} is no reference, so nothing can be chained to it.",
            expression=f"http.{asked.name}",
        )
    if asked.modifier and asked.modifier not in asked.registry.type_ids:
        raise asked.bad_modifier(("[a resource type]",))
    types = (asked.modifier,) if asked.modifier else reference.target_types(asked)
    if len(types) > _MOST_CHAINED_TYPES:
        raise Invalid(
            f"{asked.param.code} can point to many types; name the one to chain to: {asked.param.code}:Patient.{rest}.",
            expression=f"http.{asked.name}",
        )
    inner: list[tuple[str, Condition]] = []
    failure: UnsupportedParameter | None = None
    for name in types:
        try:
            inner.append((name, condition(asked.registry, name, rest, asked.name)))
        except UnsupportedParameter as error:
            failure = error
    if not inner and failure is not None:
        raise failure
    param, ids = param_id(asked.resource_type, asked.param.code), asked.registry.type_ids

    def compiled(value: str, asker: Asker) -> Node:
        seen = [(name, of) for name, of in inner if asker.sees(name)]
        if not seen:
            asker.must_see(inner[0][0], asked.name)
        return any_of([Chain(param, ids[name], all_of([of(value, asker), *asker.limits(name)])) for name, of in seen])

    return compiled


def _has(registry: Registry, resource_type: str, name: str, full_name: str) -> Condition:
    parts = name.split(":", 3)
    if len(parts) != 4 or parts[1] not in registry.type_ids or not parts[3]:
        raise UnsupportedParameter(
            "_has is written _has:[type]:[reference parameter]:[parameter], for example _has:Observation:patient:code.",
            expression=f"http.{full_name}",
        )
    _, source, code, rest = parts
    link = _param(registry, source, code, full_name)
    if link.type != "reference" or (link.targets and resource_type not in link.targets):
        raise UnsupportedParameter(
            f"{code} of {source} does not refer to {resource_type}.", expression=f"http.{full_name}"
        )
    inner = condition(registry, source, rest, full_name)
    param, type_id = param_id(source, code), registry.type_ids[resource_type]

    def compiled(value: str, asker: Asker) -> Node:
        asker.must_see(source, full_name)
        return Has(param, type_id, all_of([inner(value, asker), *asker.limits(source)]))

    return compiled
