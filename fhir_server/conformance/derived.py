"""Parameters that only gather or join what other parameters of the type already index.

Observation's `combo-*` parameters are `code` with `component-code` and so on; Patient's `phonetic` is `name` again.
They get no index rows of their own: a search on one is a search on its parts. A composite whose element is the resource
itself (`code-value-quantity`) is both of its components together; only one inside a repeating element needs rows of
pairs. Found by comparing expressions, so that it holds for whatever the definitions say.
https://hl7.org/fhir/R4/observation.html#search
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from fhir_server.conformance.search_parameters import SearchParam, split_union

# References are also followed (chains, includes), which needs rows under the parameter's own id.
_TYPES = ("token", "string", "quantity", "composite")
_ELEMENT = re.compile(r"\w+\.\w+( as \w+)?")
_Shape = tuple[str, tuple[str, ...]]


def with_derived(params: Mapping[str, SearchParam]) -> dict[str, SearchParam]:
    """The parameters of one type, with `parts` or `conjuncts` set where other parameters hold the rows."""
    operands = {code: _operands(param) for code, param in params.items() if _comparable(param)}
    found: dict[str, SearchParam] = {}
    for code, param in params.items():
        parts = _parts(code, operands, params, found) if code in operands else ()
        conjuncts = _conjuncts(param, params)
        found[code] = replace(param, parts=parts, conjuncts=conjuncts) if parts or conjuncts else param
    return found


def _conjuncts(param: SearchParam, params: Mapping[str, SearchParam]) -> tuple[str, ...]:
    if param.type != "composite" or param.expression != param.resource_type or not param.is_base:
        return ()
    by_url = {other.url: code for code, other in params.items() if _of_one_element(other)}
    codes = tuple(by_url.get(component.url, "") for component, _ in param.components)
    return codes if all(codes) else ()


def _of_one_element(param: SearchParam) -> bool:
    """Whether the parameter reads an element of the resource itself, in whatever types it has, nothing inside it."""
    return all(_ELEMENT.fullmatch(operand) for operand in _operands(param))


def _comparable(param: SearchParam) -> bool:
    return param.type in _TYPES and bool(param.expression) and param.is_base


def _operands(param: SearchParam) -> frozenset[str]:
    return frozenset(operand.strip().strip("()").strip() for operand in split_union(param.expression))


def _shape(param: SearchParam) -> _Shape:
    return param.type, tuple(expression for _, expression in param.components)


def _parts(
    code: str,
    operands: Mapping[str, frozenset[str]],
    params: Mapping[str, SearchParam],
    earlier: Iterable[str],
) -> tuple[str, ...]:
    mine, shape = operands[code], _shape(params[code])
    alike = [other for other in operands if other != code and _shape(params[other]) == shape]
    same = [other for other in alike if operands[other] == mine and other in earlier]
    if same:
        return (same[0],)
    inside = [other for other in alike if operands[other] < mine]
    covered = frozenset[str]().union(*[operands[other] for other in inside])
    return tuple(sorted(inside)) if inside and covered == mine else ()
