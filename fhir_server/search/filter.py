"""`_filter`: expressions such as `name co "pet" and not (birthdate lt 1990-01-01)`.

https://hl7.org/fhir/R4/search_filter.html
"""

import re
from functools import lru_cache

from fhir_server.core.errors import Invalid
from fhir_server.core.keys import param_id
from fhir_server.search import bounds
from fhir_server.search.asked import Asked, Asker
from fhir_server.search.ranges import StringIs
from fhir_server.search.terms import condition
from fhir_server.search.text import normalize
from fhir_server.search.tree import Node, Not, all_of, any_of

_TOKEN = re.compile(r'\s*(?:(?P<punct>[()\[\]])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()\[\]"]+))')
_ESCAPE = re.compile(r"\\(.)", re.S)
_DEEPEST = 20
_MOST_TOKENS = 200
_NUMERIC = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
_ORDERED = ("date", "number", "quantity")
# Operators of _filter as modifiers of ordinary parameters.
_AS_MODIFIER = {"in": "in", "ni": "not-in", "sb": "above", "ss": "below", "po": ""}


@lru_cache(maxsize=1024)
def _tokens(text: str) -> tuple[tuple[str, str], ...]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _bad("a quote is not closed")
        kind = match.lastgroup or ""
        value = match[kind]
        found.append((kind, _ESCAPE.sub(r"\1", value) if kind == "quoted" else value))
        at = match.end()
    return tuple(found)


def _bad(why: str) -> Invalid:
    return Invalid(
        f'_filter cannot be read: {why}. Example: name co "pet" and (birthdate ge 1990-01-01 or not (active eq true)).',
        expression="http._filter",
        code="value",
    )


def parse(asker: Asker, resource_type: str, text: str) -> Node:
    """The condition that a `_filter` value states. Raises `Invalid` and what its parameters raise."""
    reader = _Reader(asker, _tokens(text))
    node = reader.disjunction(resource_type, 0)
    reader.finish()
    return node


class _Reader:
    """Recursive descent over the tokens; `and` binds closer than `or`."""

    def __init__(self, asker: Asker, tokens: tuple[tuple[str, str], ...]) -> None:
        self._asker = asker
        self._tokens = tokens
        self._at = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def finish(self) -> None:
        """Refuse anything after the expression."""
        if self._peek()[0] != "end":
            raise _bad("there is text after its end")

    def disjunction(self, resource_type: str, depth: int) -> Node:
        """a or b or …"""
        parts = [self._conjunction(resource_type, depth)]
        bounds.check(len(self._tokens), _MOST_TOKENS, "words in _filter", "http._filter")
        while self._peek() == ("word", "or"):
            self._next()
            parts.append(self._conjunction(resource_type, depth))
        return any_of(parts)

    def _conjunction(self, resource_type: str, depth: int) -> Node:
        parts = [self._single(resource_type, depth)]
        while self._peek() == ("word", "and"):
            self._next()
            parts.append(self._single(resource_type, depth))
        return all_of(parts)

    def _single(self, resource_type: str, depth: int) -> Node:
        if depth > _DEEPEST:
            raise _bad(f"it is nested deeper than {_DEEPEST}")
        kind, word = self._next()
        if (kind, word) == ("punct", "("):
            return self._closed(resource_type, depth)
        if (kind, word) == ("word", "not") and self._peek() == ("punct", "("):
            self._next()
            return Not(self._closed(resource_type, depth))
        if kind != "word":
            raise _bad("a parameter is expected" if kind != "end" else "it ends too early")
        return self._comparison(resource_type, word)

    def _closed(self, resource_type: str, depth: int) -> Node:
        node = self.disjunction(resource_type, depth + 1)
        if self._next() != ("punct", ")"):
            raise _bad("a bracket is not closed")
        return node

    def _comparison(self, resource_type: str, path: str) -> Node:
        if self._peek() == ("punct", "["):
            raise _bad("conditions in square brackets are not supported; use a chain such as subject.name")
        operator, (kind, value) = self._next()[1], self._next()
        if kind not in ("word", "quoted"):
            raise _bad(f"{path} needs an operator and a value")
        return comparison(self._asker, resource_type, path, operator, value)


def comparison(asker: Asker, resource_type: str, path: str, operator: str, value: str) -> Node:
    """One `parameter operator value`."""
    head = path.rpartition(".")[2]
    if operator == "pr":
        return condition(asker.registry, resource_type, f"{path}:missing", "_filter")(
            {"true": "false", "false": "true"}.get(value, value), asker
        )
    if operator in _AS_MODIFIER:
        name = f"{path}:{_AS_MODIFIER[operator]}".rstrip(":")
        return condition(asker.registry, resource_type, name, "_filter")(_escaped(value), asker)
    if "." in path:
        if operator != "eq":
            raise _bad(f"{path} is a chain, which takes the operator eq")
        return condition(asker.registry, resource_type, path, "_filter")(_escaped(value), asker)
    plain = condition(asker.registry, resource_type, path, "_filter")
    param = asker.registry.search_params(resource_type).get(head)
    kind = param.type if param is not None else "special"
    if param is not None and kind == "string":
        return _text(Asked(asker.registry, param, "", "_filter"), operator, value)
    if kind in _ORDERED and operator in _NUMERIC:
        return plain(operator + value, asker)
    if operator == "eq" or (operator == "re" and kind == "reference"):
        return plain(_escaped(value), asker)
    if operator == "ne":
        return Not(plain(_escaped(value), asker))
    raise _bad(f"the operator {operator} does not apply to {path}")


def _text(asked: Asked, operator: str, value: str) -> Node:
    param = param_id(asked.resource_type, (asked.param.parts or (asked.param.code,))[0])
    if operator == "ne":
        return Not(StringIs(param, "eq", normalize(value)))
    if operator not in ("eq", "co", "sw", "ew", "gt", "lt", "ge", "le"):
        raise _bad(f"the operator {operator} does not apply to {asked.param.code}")
    return StringIs(param, operator, normalize(value))


def _escaped(value: str) -> str:
    # A token's system|code keeps its bar; a comma in a value of _filter is never a list.
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$") if set(value) & set("\\,$") else value
