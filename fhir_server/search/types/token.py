"""token parameters: codes, identifiers, booleans. https://hl7.org/fhir/R4/search.html#token"""

from collections.abc import Sequence

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.conformance.structures import Element
from fhir_server.core.errors import NotFound, TooCostly, Unprocessable
from fhir_server.core.keys import token_key
from fhir_server.search import bounds
from fhir_server.search.asked import Asked, Asker, Term
from fhir_server.search.concepts import Concepts
from fhir_server.search.elements import single_valued, targets_of
from fhir_server.search.escape import split, unescape
from fhir_server.search.leaves import Keys, tokens
from fhir_server.search.text import words
from fhir_server.search.tree import PROBE, UNIQUE, Node, Not, Nothing, all_of, any_of
from fhir_server.terminology.absent import NotLocal

MODIFIERS = ("not", "text", "in", "not-in", "above", "below", "of-type", "missing")
_BY_TERMINOLOGY = ("in", "not-in", "above", "below")
_EXPECTED = "code, system|code, |code or system|"
_SPECIAL_VALUES = "http://terminology.hl7.org/CodeSystem/special-values"
_FEW = frozenset({"Identifier", "ContactPoint"})


def compile_term(asked: Asked) -> Term:
    """The compiler of values for a token parameter."""
    if asked.modifier == "":
        return _matcher(asked)
    if asked.modifier == "not":
        return _unlike(asked)
    if asked.modifier == "text":
        return lambda values, asker: text_match(asked, f"{asked.param.code}:text", values)
    if asked.modifier == "of-type":
        return lambda values, asker: _of_type(asked, values)
    if asked.modifier in _BY_TERMINOLOGY:
        return _in(asked) if asked.modifier in ("in", "not-in") else _subsumed(asked)
    raise asked.bad_modifier(MODIFIERS)


def forms(asked: Asked, value: str) -> list[str]:
    """The indexed forms that a value as written stands for."""
    parts = split(value, "|")
    if len(parts) > 2 or parts == ["", ""] or not value:
        raise asked.bad_value(_EXPECTED)
    if len(parts) == 1:
        return [unescape(value)]
    system, code = unescape(parts[0]), unescape(parts[1])
    found = [f"{system}|{code}"]
    if system and code and _implied(asked, asked.param, system, code):
        found.append(code)
    return found


def _implied(asked: Asked, param: SearchParam, system: str, code: str) -> bool:
    """Whether a bare code of the element always means this system: `code` elements and their bound value sets."""
    for target in targets_of(asked.registry, param):
        element = target.element
        if element.type == "code" and element.binding:
            codes = asked.registry.codes(element.binding[1])
            if codes is not None and (system, code) in codes:
                return True
        if element.type == "boolean" and system == _SPECIAL_VALUES:
            return True
    return False


def _matcher(asked: Asked) -> Term:
    resource_type, code = asked.resource_type, asked.param.code
    few = {t.element.type for t in targets_of(asked.registry, asked.param)} & _FEW != set()

    def match(values: Sequence[str], asker: Asker) -> Node:
        found: list[tuple[int, int | None]] = []
        for value in values:
            bare = unescape(split(value, "|")[-1])
            key = token_key(resource_type, code, bare) if bare else None
            found.extend([(token_key(resource_type, code, form), key) for form in forms(asked, value)])
        return tokens(found, UNIQUE if few else PROBE)

    return match


def _unlike(asked: Asked) -> Term:
    """`:not`. Where every resource has exactly one code of a closed list, that is: one of the other codes, which an
    index can answer."""
    positive, closed = _matcher(asked), closed_codes(asked.registry, asked.param)

    def match(values: Sequence[str], asker: Asker) -> Node:
        node = positive(values, asker)
        if not closed or not isinstance(node, Keys):
            return Not(node)
        keys = [token_key(asked.resource_type, asked.param.code, code) for code in closed]
        others = tuple([key for key in keys if key not in node.keys])
        return Keys(others) if others else Nothing()

    return match


def closed_codes(registry: Registry, param: SearchParam) -> tuple[str, ...]:
    """The codes of a mandatory `code` element at the top of its type with a required binding; () when it is not so."""
    targets = targets_of(registry, param)
    if len(targets) != 1 or not single_valued(registry, param):
        return ()
    element = targets[0].element
    if element.type != "code" or len(targets[0].path.steps) != 1 or element.min != 1:
        return ()
    return required_codes(registry, element)


def required_codes(registry: Registry, element: Element) -> tuple[str, ...]:
    """The codes, sorted, that a required binding allows; () when there is none or it cannot be listed."""
    if element.binding is None or element.binding[0] != "required":
        return ()
    return tuple(sorted({code for _, code in registry.codes(element.binding[1]) or ()}))


def text_match(asked: Asked, code: str, values: Sequence[str]) -> Node:
    """All words of any of the values occur in the text that is indexed under `code`."""
    found: list[Node] = []
    for value in values:
        wanted = sorted(words(unescape(value)))
        if not wanted:
            raise asked.bad_value("words")
        found.append(all_of([Keys((token_key(asked.resource_type, code, word),), False) for word in wanted]))
    return any_of(found)


def _of_type(asked: Asked, values: Sequence[str]) -> Node:
    keys = []
    for value in values:
        parts = [unescape(part) for part in split(value, "|")]
        if len(parts) != 3 or not all(parts):
            raise asked.bad_value("system|code|value: the identifier's type and its value")
        keys.append(token_key(asked.resource_type, f"{asked.param.code}:of-type", "|".join(parts)))
    return Keys(tuple(keys), True, UNIQUE)


def _in(asked: Asked) -> Term:
    negate = asked.modifier == "not-in"

    def match(values: Sequence[str], asker: Asker) -> Node:
        concepts = _concepts(asked, values, asker)
        chosen = []
        for value in values:
            try:
                chosen.append(concepts.selection(unescape(value)))
            except (NotFound, Unprocessable, NotLocal, TooCostly) as error:
                expected = f"the canonical URL of a value set that this server can expand. {error}"
                raise asked.bad_value(expected) from None
        node = concepts.members(asked.param, chosen, drives=not negate)
        return Not(node) if negate else node

    return match


def _subsumed(asked: Asked) -> Term:
    above = asked.modifier == "above"

    def match(values: Sequence[str], asker: Asker) -> Node:
        concepts, codes = _concepts(asked, values, asker), []
        for value in values:
            parts = [unescape(part) for part in split(value, "|")]
            if len(parts) != 2 or not all(parts):
                raise asked.bad_value("system|code")
            codes.append((parts[0], parts[1]))
        return concepts.related(asked.param, codes, above=above)

    return match


def _concepts(asked: Asked, values: Sequence[str], asker: Asker) -> Concepts:
    bounds.check(len(values), bounds.MOST_RANGES, f"OR-ed values of {asked.name}", f"http.{asked.name}")
    if asker.concepts is None:
        raise asked.bad_modifier([modifier for modifier in MODIFIERS if modifier not in _BY_TERMINOLOGY])
    return asker.concepts
