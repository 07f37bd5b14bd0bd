"""The compiled extraction of one resource type: all its search parameters as one walk over the JSON.

Simple paths become a tree by element name, so that an element is visited once however many parameters look at it, and
only elements that are present cost anything. Other expressions run through the FHIRPath compiler.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam, split_union
from fhir_server.core.keys import present_key
from fhir_server.fhirpath import compile_expression
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.search.memo import Memo
from fhir_server.search.paths import Path, Step, simple_paths, values_at
from fhir_server.search.rows import Emit, IndexRows
from fhir_server.search.values import emitter
from fhir_server.search.values.composite import Join, Part, Read, joiner
from fhir_server.search.values.leaf import Leaf

_OWN_COLUMN = frozenset({"_id", "_lastUpdated", "_text", "_content", "_list", "_has", "_filter", "_query", "_type"})
_RESOURCE = "%resource."

Run = Callable[[dict[str, Any], IndexRows, str], None]


@dataclass(slots=True)
class _Branch:
    """An element in the tree. `leaves`: the parameters that end here, by (search type, FHIR type)."""

    leaves: dict[tuple[str, str], list[Leaf]] = field(default_factory=dict)
    children: dict[Step, "_Branch"] = field(default_factory=dict)

    def at(self, steps: Sequence[Step]) -> "_Branch":
        branch = self
        for step in steps:
            branch = branch.children.setdefault(step, _Branch())
        return branch


def compile_params(resource_type: str, params: Sequence[SearchParam], registry: Registry) -> tuple[Run, ...]:
    """What to run on a resource of the type to have the rows of these parameters.

    Raises `FhirPathError` when an expression is not FHIRPath.
    """
    root = _Branch()
    runs: list[Run] = []
    for param in params:
        if param.code in _OWN_COLUMN or not param.expression:
            continue
        if param.type == "composite":
            runs.extend(_composites(param, registry))
            continue
        leaf = Leaf(resource_type, param.code, None, _compartments(param, registry))
        for alternative in split_union(param.expression):
            paths = simple_paths(alternative, resource_type, registry)
            if paths is None:
                runs.append(_generic(param, alternative, leaf, registry))
                continue
            for path in paths:
                here = Leaf(leaf.resource_type, leaf.code, path.resolves_to, leaf.compartments)
                ends = root.at(path.steps).leaves.setdefault((param.type, path.type), [])
                if here not in ends:
                    ends.append(here)
    return (_element(root), *runs) if root.children or root.leaves else tuple(runs)


def _compartments(param: SearchParam, registry: Registry) -> frozenset[str]:
    return frozenset(
        name for name, members in registry.compartments.items() if param.code in members.get(param.resource_type, ())
    )


def _element(branch: _Branch) -> Emit:
    """What to do with one value of the element."""
    actions = [emitter(search_type, leaves, of) for (search_type, of), leaves in branch.leaves.items()]
    if branch.children:
        actions.append(_walk(branch.children))
    return _all(actions)


def _walk(children: dict[Step, _Branch]) -> Emit:
    by_name: dict[str, list[Emit]] = {}
    for step, child in children.items():
        by_name.setdefault(step.name, []).append(_each(_element(child), step.where))
    table = {name: _all(actions) for name, actions in by_name.items()}
    pairs = tuple(table.items())
    get = table.get

    def by_table(value: Any, rows: IndexRows, base: str) -> None:
        for name, action in pairs:
            inner = value.get(name)
            if inner is not None:
                action(inner, rows, base)

    def by_value(value: Any, rows: IndexRows, base: str) -> None:
        for name, inner in value.items():
            action = get(name)
            if action is not None and inner is not None:
                action(inner, rows, base)

    return by_table if len(pairs) <= 3 else by_value


def _each(action: Emit, where: tuple[str, str] | None) -> Emit:
    """The action on every item of an element that may repeat; null items are places of primitives without a value."""
    if where is not None:
        child, equals = where
        inner = action

        def action(value: Any, rows: IndexRows, base: str) -> None:
            if value.get(child) == equals:
                inner(value, rows, base)

    def each(value: Any, rows: IndexRows, base: str) -> None:
        if type(value) is list:
            for item in value:
                if item is not None:
                    action(item, rows, base)
        else:
            action(value, rows, base)

    return each


def _all(actions: Sequence[Emit]) -> Emit:
    if len(actions) == 1:
        return actions[0]
    several = tuple(actions)

    def run(value: Any, rows: IndexRows, base: str) -> None:
        for action in several:
            action(value, rows, base)

    return run


def _generic(param: SearchParam, expression: str, leaf: Leaf, registry: Registry) -> Run:
    evaluate = compile_expression(expression, param.resource_type, registry)
    emitters: Memo[str, Emit] = Memo(lambda of: emitter(param.type, [leaf], of))

    def run(resource: dict[str, Any], rows: IndexRows, base: str) -> None:
        try:
            found = evaluate(resource)
        except FhirPathError:
            # Such as one value asked of several, or too much work: the resource is valid, the parameter has no value.
            return
        for kind, value, _ in found:
            if value is not None:
                emitters[_plain_type(kind)](value, rows, base)

    return run


def _plain_type(kind: str) -> str:
    # FHIRPath's own types index like FHIR's: System.Boolean like boolean.
    name = kind.removeprefix("System.")
    return kind if name == kind else name[0].lower() + name[1:]


def _composites(param: SearchParam, registry: Registry) -> list[Run]:
    runs = []
    for alternative in split_union(param.expression):
        paths = simple_paths(alternative, param.resource_type, registry)
        for path in paths or ():
            parts = [
                _part(component, _sub_expression(param, alternative, component, expression), path, registry)
                for component, expression in param.components
            ]
            join = joiner(param.resource_type, param.code, parts)
            if join is not None:
                runs.append(_joined(join, path, present_key(param.resource_type, param.code)))
    return runs


def _sub_expression(param: SearchParam, base: str, component: SearchParam, expression: str) -> str:
    # DocumentReference's `relationship` is published with the expressions of its two components exchanged; the
    # component's own expression shows which one is meant.
    meant = [other for _, other in param.components if f"{base}.{other}" == component.expression]
    return meant[0] if meant else expression


def _joined(join: Join, path: Path, present: int) -> Run:
    steps = path.steps

    def run(resource: dict[str, Any], rows: IndexRows, base: str) -> None:
        for element in values_at(resource, steps) if steps else (resource,):
            if join(element, resource, rows, base):
                rows.keys.append(present)

    return run


def _part(component: SearchParam, expression: str, base: Path, registry: Registry) -> Part:
    """A component reads by simple paths from the element, or from the resource after `%resource.`."""
    if expression.startswith(_RESOURCE):
        from_resource = _read(expression[len(_RESOURCE) :], component.resource_type, registry)
        return Part(component.type, lambda element, resource: from_resource(resource, resource))
    return Part(component.type, _read(expression, base.type, registry))


def _read(expression: str, context_type: str, registry: Registry) -> Read:
    found = [simple_paths(alternative, context_type, registry) for alternative in split_union(expression)]
    paths = [path for each in found for path in each or ()]
    if len(paths) == 1 and len(paths[0].steps) == 1 and paths[0].steps[0].where is None:
        name, of = paths[0].steps[0].name, paths[0].type

        def read_one(element: dict[str, Any], resource: dict[str, Any]) -> list[tuple[str, Any]]:
            value = element.get(name)
            if type(value) is list:
                return [(of, item) for item in value if item is not None]
            return [] if value is None else [(of, value)]

        return read_one

    def read(element: dict[str, Any], resource: dict[str, Any]) -> list[tuple[str, Any]]:
        return [(path.type, value) for path in paths for value in values_at(element, path.steps)]

    return read
