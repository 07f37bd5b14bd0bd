"""Operators of two operands: which of the ways to evaluate them is taken. https://hl7.org/fhirpath/N1/#operations"""

from typing import TYPE_CHECKING

from fhir_server.fhirpath.compiled import Compiled, condition
from fhir_server.fhirpath.concatenation import concatenated
from fhir_server.fhirpath.counts import total
from fhir_server.fhirpath.equality import distinct, union
from fhir_server.fhirpath.literals import against
from fhir_server.fhirpath.logic import EQUALITY, LOGIC, joined
from fhir_server.fhirpath.nodes import Env, Nodes, weight
from fhir_server.fhirpath.operators import BINARY
from fhir_server.fhirpath.periods import ordered

if TYPE_CHECKING:
    from fhir_server.fhirpath.compile import Compiler

# Operators that look at everything in an object.
_COMPARING = frozenset({"=", "!=", "~", "!~", "in", "contains"})
_EQUIVALENCE = frozenset({"~", "!~"})


def binary(compiler: "Compiler", operator: str, left: Compiled, right: Compiled) -> Compiled:
    """`left operator right`, of any operator but `is` and `as`."""
    if operator in LOGIC or (operator in EQUALITY and left.test and right.test):
        return joined(operator, left, right)
    if operator == "&":
        return concatenated(left, right)
    if operator == "|":
        return _union(compiler, left, right)
    if operator == "+" and (integer := total(left, right)):
        return integer
    if right.constant and (short := against(operator, left, right.constant)):
        return short
    apply, is_condition = BINARY[operator]
    if dates := ordered(operator, left, right, apply):
        return dates
    first, second = left.run, right.run
    if operator in _COMPARING:
        plainly = operator not in _EQUIVALENCE
        first, second = compiler.weighed(left, plainly), compiler.weighed(right, plainly)
    if operator in _EQUIVALENCE:
        compiler.needs_env = True
        return condition(lambda this, env: apply(*_paired(first(this, env), second(this, env), env)))
    if is_condition:
        return condition(lambda this, env: apply(first(this, env), second(this, env)))
    return Compiled(lambda this, env: apply(first(this, env), second(this, env)), None)


def _union(compiler: "Compiler", left: Compiled, right: Compiled) -> Compiled:
    types = None if left.types is None or right.types is None else left.types | right.types
    if left.constant is not None and right.constant is not None:
        nodes = union(left.constant, right.constant)
        return Compiled(lambda this, env: nodes, types, constant=nodes)
    first, second = left.run, right.run
    both = Compiled(lambda this, env: first(this, env) + second(this, env), types, far=left.far or right.far)
    run = compiler.weighed(both, plainly=True)
    return Compiled(lambda this, env: distinct(run(this, env)), types)


def _paired(left: Nodes, right: Nodes, env: Env) -> tuple[Nodes, Nodes]:
    # Each is compared with each.
    if len(left) > 1 and len(left) == len(right):
        env.work(sum(map(weight, left)) * sum(map(weight, right)))
    return left, right
