"""composite parameters: parts of one element, joined as `types/composite.py` says.

https://hl7.org/fhir/R4/search.html#composite
"""

from collections.abc import Callable, Sequence

from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.keys import param_id, unit_key
from fhir_server.core.references import local_form
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.escape import split, unescape
from fhir_server.search.leaves import Keys, either
from fhir_server.search.ranges import DateIs, QuantityIs, SpanIs, StringIs
from fhir_server.search.tree import And, Node
from fhir_server.search.types import date, number, quantity, token
from fhir_server.search.types.composite import date_param, pair_key, string_value

# The composite, its first token's form, the parts after it with their parameters, who asks -> the condition.
_Join = Callable[[Asked, str, list[str], list[Asked], Asker], Node]


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a composite parameter."""
    if asked.modifier:
        raise asked.bad_modifier(("missing",))
    params = [part for part, _ in asked.param.components]
    first = next((i for i, part in enumerate(params) if part.type == "token"), None)
    kinds = tuple(part.type for i, part in enumerate(params) if i != first)
    join = _JOINS.get(kinds)
    if first is None or join is None:
        raise asked.bad_value("a combination of parts that this server does not index")
    parts = [_part(asked, param) for param in params]
    shape = "$".join(param.code for param in params)

    def match(values: Sequence[str], asker: Asker) -> Node:
        found: list[Node] = []
        for value in values:
            texts = split(value, "$")
            if len(texts) != len(parts) or not all(texts):
                raise asked.bad_value(f"{len(parts)} parts joined by $: {shape}")
            rest = texts[:first] + texts[first + 1 :]
            others = parts[:first] + parts[first + 1 :]
            for form in _forms(parts[first], texts[first]):
                found.append(join(asked, form, rest, others, asker))
        return either(found)

    return match


def _part(asked: Asked, param: SearchParam) -> Asked:
    return Asked(asked.registry, param, "", asked.name)


def _forms(part: Asked, text: str) -> list[str]:
    found = token.forms(part, text)
    if any(form.endswith("|") for form in found):
        raise part.bad_value("code, system|code or |code in its token part")
    return found


def _token(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    others = _forms(parts[0], texts[0])
    return Keys(tuple([pair_key(asked.resource_type, asked.param.code, form, other) for other in others]))


def _target(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    text = unescape(texts[0])
    bare = "/" not in text and ":" not in text
    names = parts[0].param.targets or asked.registry.resource_types
    others = [f"{name}/{text}" for name in names] if bare else [local_form(text, asker.base)]
    return Keys(tuple([pair_key(asked.resource_type, asked.param.code, form, other) for other in others]))


def _uri(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    return Keys((pair_key(asked.resource_type, asked.param.code, form, unescape(texts[0])),))


def _quantity(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    return quantity.compare(asked, param_id(asked.resource_type, asked.param.code), texts[0], form)


def _number(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    op, a, b = number.bounds(asked, texts[0])
    param = param_id(asked.resource_type, asked.param.code)
    return QuantityIs(param, unit_key(None, None, form), op, float(a), float(b))


def _numbers(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    tests = []
    for column, text in zip(("lo", "hi"), texts, strict=True):
        op, a, b = number.bounds(asked, text)
        tests.append((column, op, float(a), float(b)))
    return SpanIs(param_id(asked.resource_type, asked.param.code), unit_key(None, None, form), tuple(tests))


def _string(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    param = param_id(asked.resource_type, asked.param.code)
    return StringIs(param, "sw", string_value(form, unescape(texts[0])))


def _date(asked: Asked, form: str, texts: list[str], parts: list[Asked], asker: Asker) -> Node:
    resource_type, code = asked.resource_type, asked.param.code
    key = Keys((pair_key(resource_type, code, form),), False)
    return And((DateIs(date_param(resource_type, code, form), *date.interval(asked, texts[0], asker)), key))


_JOINS: dict[tuple[str, ...], _Join] = {
    ("token",): _token,
    ("reference",): _target,
    ("uri",): _uri,
    ("quantity",): _quantity,
    ("number",): _number,
    ("number", "number"): _numbers,
    ("string",): _string,
    ("date",): _date,
}
