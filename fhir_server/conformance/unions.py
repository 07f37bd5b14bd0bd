"""Parameters that only gather what other parameters of the type already index.

Observation's `combo-*` parameters are `code` with `component-code` and so on; Patient's `phonetic` is `name` again. They
get no index rows of their own: a search on one is a search on its parts. Found by comparing expressions, so that it holds
for whatever the definitions say. https://hl7.org/fhir/R4/observation.html#search
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fhir_server.conformance.search_parameters import SearchParam, split_union

# References are also followed (chains, includes), which needs rows under the parameter's own id.
_TYPES = ("token", "string", "quantity", "composite")
_BASE = "http://hl7.org/fhir/SearchParameter/"
_Shape = tuple[str, tuple[str, ...]]


def with_parts(params: Mapping[str, SearchParam]) -> dict[str, SearchParam]:
    """The parameters of one type, those that others cover with `parts` set to the covering codes."""
    operands = {code: _operands(param) for code, param in params.items() if _comparable(param)}
    found: dict[str, SearchParam] = {}
    for code, param in params.items():
        parts = _parts(code, operands, params, found) if code in operands else ()
        found[code] = replace(param, parts=parts) if parts else param
    return found


def _comparable(param: SearchParam) -> bool:
    return param.type in _TYPES and bool(param.expression) and param.url.startswith(_BASE)


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
