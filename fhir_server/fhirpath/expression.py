"""Expressions compiled once per (expression, type of the focus, definitions), and one-off evaluation."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from fhir_server.conformance.registry import Registry
from fhir_server.fhirpath.compile import Compiler
from fhir_server.fhirpath.compiled import Compiled, ItemTest, Test
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions import FUNCTIONS
from fhir_server.fhirpath.nodes import EMPTY, FALSE, TRUE, Env, Node, Nodes
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.paths import Paths
from fhir_server.fhirpath.services import Services
from fhir_server.fhirpath.syntax import Member, Variable

Expression = Callable[[Any], Nodes]

_NOBODY = Env(("Resource", {}, None))
_abstract = frozenset({"Resource", "DomainResource"})
_paths: dict[int, Paths] = {}
_MOST_PATHS = 32
_expressions: "WeakKeyDictionary[Registry, dict[tuple[str, str], Expression]]" = WeakKeyDictionary()
_MOST_CACHED = 20_000
# Longer ones are compiled each time: a cache full of them would fill the memory.
_LONGEST_CACHED = 2_000


def paths_of(registry: Registry) -> Paths:
    """The navigation tables of a registry; tenants share those of the structures they share."""
    structures = registry.structures
    found = _paths.get(id(structures))
    if found is None or found.structures is not structures:
        if len(_paths) >= _MOST_PATHS:
            _paths.clear()
        found = _paths[id(structures)] = Paths(structures)
    return found


def _compile(
    expression: str, context_type: str | None, paths: Paths, one_off: bool, strict: bool
) -> tuple[Compiled, bool]:
    compiler = Compiler(paths, FUNCTIONS, strict=strict, located=one_off)
    known = context_type and context_type not in _abstract
    types = frozenset({context_type}) if known and context_type else None
    try:
        compiled = compiler.whole(parse(expression), types)
    except FhirPathError as error:
        raise error.placed(expression) from None
    return compiled, compiler.needs_env


_remembered = lru_cache(maxsize=4096)(_compile)


def _compiled(
    expression: str, context_type: str | None, registry: Registry, one_off: bool = False, strict: bool = False
) -> tuple[Compiled, bool]:
    run = _remembered if len(expression) <= _LONGEST_CACHED else _compile
    return run(expression, context_type, paths_of(registry), one_off, strict)


def compile_node_expression(
    expression: str, context_type: str | None, registry: Registry
) -> tuple[Compiled, bool]:
    """The closures of an expression for a focus of one type (None: any), and whether they use the environment.

    Raises `FhirPathError` for an expression that cannot be read or names what does not exist.
    """
    return _compiled(expression, context_type, registry)


def compile_expression(expression: str, context_type: str, registry: Registry) -> Expression:
    """A function from a resource of `context_type` to the nodes of `expression`. Cached.

    `resolve()` of a literal reference gives a node of the reference's type that knows only its type and id. Raises
    `FhirPathError` (400) for an expression that cannot be read or names an element that the type does not have.
    """
    cache = _expressions.get(registry)
    if cache is None:
        cache = _expressions[registry] = {}
    found = cache.get((expression, context_type))
    if found is None:
        found = _bind(expression, context_type, registry)
        if len(expression) <= _LONGEST_CACHED:
            if len(cache) >= _MOST_CACHED:
                cache.clear()
            cache[expression, context_type] = found
    return found


def _bind(expression: str, context_type: str, registry: Registry) -> Expression:
    compiled, needs_env = compile_node_expression(expression, context_type, registry)
    run, abstract = compiled.run, context_type in _abstract

    def node_of(resource: dict[str, Any]) -> Node:
        return (resource.get("resourceType", context_type) if abstract else context_type, resource, None)

    if needs_env:

        def within(resource: dict[str, Any]) -> Nodes:
            node = node_of(resource)
            return run([node], Env(node))

        return within
    if abstract:
        return lambda resource: run([node_of(resource)], _NOBODY)
    if compiled.item is not None:
        return _bound_item(compiled.item, context_type)
    if compiled.test is not None:
        return _bound_test(compiled.test, context_type)
    return lambda resource: run([(context_type, resource, None)], _NOBODY)


# A condition answers without a collection, and calls less than by way of one.
def _bound_test(test: Test, type_: str) -> Expression:
    def decide(resource: dict[str, Any]) -> Nodes:
        value = test([(type_, resource, None)], _NOBODY)
        return TRUE if value else EMPTY if value is None else FALSE

    return decide


def _bound_item(item: ItemTest, type_: str) -> Expression:
    def decide(resource: dict[str, Any]) -> Nodes:
        value = item((type_, resource, None), _NOBODY)
        return TRUE if value else EMPTY if value is None else FALSE

    return decide


def compile_parent(expression: str, context_type: str, registry: Registry) -> tuple[Expression, str]:
    """The part of a path before its last step, and that step's name: `Patient.contact[0]` and `name`.

    Finds a place for what is not there yet. Raises `FhirPathError` when the expression does not end in a plain name.
    """
    tree = parse(expression)
    if not isinstance(tree, Member) or (tree.source is None and tree.name == context_type):
        raise FhirPathError("The path must end in the name of an element.")
    parent = tree.source or Variable("$this")
    try:
        compiled = Compiler(paths_of(registry), FUNCTIONS).whole(parent, frozenset({context_type}))
    except FhirPathError as error:
        raise error.placed(expression) from None

    def nodes(resource: dict[str, Any]) -> Nodes:
        node: Node = (context_type, resource, None)
        return compiled.run([node], Env(node))

    return nodes, tree.name


def evaluate_on(expression: str, focus: Node, env: Env, registry: Registry, *, strict: bool = False) -> Nodes:
    """The nodes of `expression` on one node. For one-offs: mistakes tell their place in the expression.

    strict: what N1 forbids is refused although R4's own expressions need it: `as` of several items, and positions in
    collections without an order. Raises `FhirPathError`.
    """
    compiled, _ = _compiled(expression, focus[0], registry, True, strict)
    try:
        return compiled.run([focus], env)
    except FhirPathError as error:
        raise error.placed(expression) from None
    except RecursionError:
        raise FhirPathError("The FHIRPath expression is nested too deeply.") from None


def evaluate(
    expression: str,
    resource: dict[str, Any],
    registry: Registry,
    *,
    variables: Mapping[str, Nodes] | None = None,
    now: datetime | None = None,
    trace: Callable[[str, Nodes], None] | None = None,
    services: Services | None = None,
    strict: bool = False,
) -> Nodes:
    """The nodes of `expression` on a resource. For one-offs.

    variables: values of `%name`. now: the time that `now()` tells. trace: receives what `trace()` shows. services: who
    answers for terminology, profiles and references. strict: as in `evaluate_on`. Raises `FhirPathError`.
    """
    node: Node = (resource["resourceType"], resource, None)
    env = Env(node, variables=variables, now=now, trace=trace, services=services)
    return evaluate_on(expression, node, env, registry, strict=strict)
