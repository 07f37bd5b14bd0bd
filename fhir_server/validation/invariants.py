"""The constraints of the definitions, compiled once per structure and evaluated only where they can fail.

A constraint is skipped on an object that has none of the properties it begins with, if it holds for an object
without them. One that cannot be told counts as held: many published ones say nothing when an element is absent
(bdl-8), or compare dates of different precision (per-1).
https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Constraint, Element, Structure
from fhir_server.fhirpath import CannotTell, Env, FhirPathError, Node, compile_node_expression, compiled, paths_of
from fhir_server.fhirpath.compile import Compiler
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.syntax import Binary, Call, Index, Literal, Member, Sign, Tree, TypeTest
from fhir_server.validation.walk import Gated, Path, Rule, Visit, Walk

# Checked elsewhere: ele-1 and sqty-1's emptiness in the schema, references and narrative in their own files.
ELSEWHERE = frozenset({"ele-1", "ref-1", "dom-3", "txt-1", "txt-2"})

# Published expressions that do not mean what their text says.
CORRECTED: Mapping[str, tuple[str, str]] = {
    # `Boolean` is FHIRPath's own type, which no element of a resource has.
    "que-7": ("answer is Boolean", "answer is boolean"),
}

_LAMBDAS = frozenset({"where", "select", "all", "exists", "repeat", "aggregate", "iif", "trace", "sort"})

Test = Callable[[list[Node], Env], "bool | None"]
Compiled = tuple["frozenset[str] | None", Test, Constraint]


def invariants(severities: frozenset[str]) -> Rule:
    """The rule that evaluates the constraints of these severities (`error`, `warning`)."""
    return Rule("invariants", partial(_on_object, severities), partial(_on_element, severities))


def compile_constraint(registry: Registry, type_: str, constraint: Constraint) -> Compiled | None:
    """(properties one of which must be there, test, constraint); None when it does not apply to the type.

    A constraint on a choice element may name elements that only one of its types has: it says nothing of the others.
    """
    found = _read(registry, type_, constraint)
    return None if found is None else (found[0], found[1].condition(), constraint)


def _read(
    registry: Registry, type_: str, constraint: Constraint
) -> tuple[frozenset[str] | None, compiled.Compiled, bool] | None:
    """(properties one of which must be there, the expression, whether it uses the environment)."""
    text = constraint.expression
    if constraint.key in CORRECTED:
        text = text.replace(*CORRECTED[constraint.key])
    try:
        made, needs_env = compile_node_expression(text, type_, registry)
    except FhirPathError:
        return None
    return _gate(parse(text), registry, type_, made.condition()), made, needs_env


def _gate(tree: Tree, registry: Registry, type_: str, test: Test) -> frozenset[str] | None:
    names = _first_names(tree, registry)
    structure = registry.structures[type_]
    if names is None or structure.kind == "primitive-type" or _on_nothing(test, type_) is False:
        return None
    names = min((names, *_sufficient(tree, registry, type_)), key=lambda each: (len(each), each != names))
    json = {option for name in names for option in structure.choices.get(name, (name,))}
    return frozenset(json | {f"_{name}" for name in json})


def _on_nothing(test: Test, type_: str) -> bool | None:
    """What a condition says of an object without properties. One that cannot be told counts as False."""
    bare: Node = (type_, {}, None)
    try:
        return test([bare], Env(bare))
    except FhirPathError:
        return False


def _sufficient(tree: Tree, registry: Registry, type_: str) -> Iterator[frozenset[str]]:
    """Children without which an expression is true whatever else there is: those of one side of an `or` that is true
    without them, and those of what is false and would imply something."""
    match tree:
        case Binary(operator="or", left=left, right=right):
            yield from _sufficient(right, registry, type_)
            yield from _sufficient(left, registry, type_)
            return
        case Binary(operator="implies", left=left):
            tree, wanted = left, False
        case _:
            wanted = True
    names = _first_names(tree, registry)
    if names:
        test = Compiler(paths_of(registry), FUNCTIONS).compile(tree, frozenset({type_})).condition()
        if _on_nothing(test, type_) is wanted:
            yield names


def _first_names(tree: Tree, registry: Registry) -> frozenset[str] | None:
    """The children of the focus that an expression depends on; None when it depends on more than named children."""
    match tree:
        case Literal():
            return frozenset()
        case Member(source=None, name=name):
            return None if _is_type(name, registry) else frozenset({name})
        case Member(source=Member(source=None, name=outer), name=name) if _is_type(outer, registry):
            return frozenset({name})
        case Member(source=source) if source is not None:
            return _first_names(source, registry)
        case Call(source=source, name=name, arguments=arguments) if source is not None:
            return _joined(registry, source, *(() if name in _LAMBDAS | {"is", "as", "ofType"} else arguments))
        case Index(source=source, at=at):
            return _joined(registry, source, at)
        case Sign(operand=operand) | TypeTest(operand=operand):
            return _first_names(operand, registry)
        case Binary(left=left, right=right):
            return _joined(registry, left, right)
    return None


def _is_type(name: str, registry: Registry) -> bool:
    # Elements begin with a small letter: `code` is one, although there is a type of that name.
    return name[0].isupper() and name in registry.structures


def _joined(registry: Registry, *trees: Tree) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for tree in trees:
        names = _first_names(tree, registry)
        if names is None:
            return None
        found |= names
    return found


def _chosen(
    severities: frozenset[str], registry: Registry, type_: str, constraints: tuple[Constraint, ...]
) -> Iterator[Gated]:
    for constraint in constraints:
        if constraint.severity in severities and constraint.key not in ELSEWHERE and constraint.expression:
            found = _read(registry, type_, constraint)
            if found is not None:
                gate, made, needs_env = found
                test = _in_context(made.of_item()) if needs_env else made.of_item()
                yield Gated(gate, _visit(type_, test, constraint))


def _in_context(test: compiled.ItemTest) -> compiled.ItemTest:
    """The same where `%context` is the element; and each evaluation has a budget of its own."""

    def within(node: Node, env: Env) -> bool | None:
        env.context = [node]
        return test(node, env)

    return within


def _on_object(severities: frozenset[str], registry: Registry, structure: Structure) -> list[Gated]:
    return list(_chosen(severities, registry, structure.name, structure.constraints))


def _on_element(severities: frozenset[str], registry: Registry, structure: Structure, element: Element) -> list[Gated]:
    return list(_chosen(severities, registry, element.type, element.constraints))


def _visit(type_: str, test: compiled.ItemTest, constraint: Constraint) -> Visit:
    key, severity = constraint.key, constraint.severity

    def visit(value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        try:
            held = test((type_, value, sibling), walk.env)
        except CannotTell:
            return
        except FhirPathError as error:
            walk.fail(path, "invariant", f"{constraint.human} ({key}: {error})", severity, key)
            return
        if held is False:
            walk.fail(path, "invariant", f"{constraint.human} ({key})", severity, key)

    return visit
