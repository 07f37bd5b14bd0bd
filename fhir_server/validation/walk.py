"""One pass over a resource, in which every rule looks at what concerns it.

A rule is a pair of functions that are asked once per structure and once per element what they want to look at; what
they answer is bound into a plan per structure. A plan only has entries for properties that some rule looks at or
that lead to such, and the pass only follows properties that the instance has.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.structures import Element, Structure
from fhir_server.core.errors import Issue
from fhir_server.fhirpath import Env, Node

# (parent, name, index in the list or None); the root is (None, type, None).
Path = tuple[Any, str, "int | None"]


def expression(path: Path) -> str:
    """The FHIRPath of a place: `Patient.contact[0].gender`."""
    parent, name, index = path
    step = name if index is None else f"{name}[{index}]"
    return step if parent is None else f"{expression(parent)}.{step}"


class Walk:
    """The state of a pass over one resource. root: the resource itself, or the one that contains it."""

    __slots__ = ("env", "issues", "resource", "root")

    def __init__(self, resource: dict[str, Any], root: dict[str, Any], issues: list[Issue]) -> None:
        self.resource = resource
        self.root = root
        self.issues = issues
        node: Node = (resource["resourceType"], resource, None)
        self.env = Env(node, node if root is resource else (root["resourceType"], root, None))

    def fail(self, path: Path, code: str, text: str, severity: str = "error", rule: str | None = None) -> None:
        """Note that something is wrong at a place."""
        self.issues.append(Issue(severity, code, text, expression(path), rule=rule))


# What looks at a value: (value, `_name` sibling or None, place, pass).
Visit = Callable[[Any, "dict[str, Any] | None", Path, Walk], None]


class Gated(NamedTuple):
    """A visit to objects that have one of the properties; others need none. names None: to every value."""

    names: frozenset[str] | None
    visit: Visit


Wish = Visit | Gated | Sequence[Gated] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """on_object: what to do with every object of a structure; on_element: with every item of an element."""

    name: str
    on_object: Callable[[Registry, Structure], Wish] = lambda registry, structure: None
    on_element: Callable[[Registry, Structure, Element], Wish] = lambda registry, structure, element: None


# What happens to one property: (its value, the object, the object's place, pass).
Follow = Callable[[Any, dict[str, Any], Path, Walk], None]


@dataclass(slots=True)
class Plan:
    """What happens to the objects of one structure."""

    visits: tuple[Gated, ...] = ()
    children: dict[str, Follow] = field(default_factory=dict)


class Plans:
    """The plans of all structures under one set of rules, each made on first use."""

    def __init__(
        self, registry: Registry, rules: Sequence[Rule], nested: Callable[[Any, Path, Walk], None]
    ) -> None:
        self._registry = registry
        self._rules = rules
        self._plans: dict[str, Plan] = {}
        self._nested = nested

    def plan(self, type_: str) -> Plan:
        """The plan of a structure, with the plans that it leads to."""
        found = self._plans.get(type_)
        if found is None:
            found = self._plans[type_] = Plan()
            structure = self._registry.structures[type_]
            found.visits = _gated(rule.on_object(self._registry, structure) for rule in self._rules)
            for element in structure.elements.values():
                found.children.update(self._children(structure, element))
        return found

    def _children(self, structure: Structure, element: Element) -> dict[str, Follow]:
        visits = _gated(rule.on_element(self._registry, structure, element) for rule in self._rules)
        name = element.choice or element.name
        kind = self._registry.structures[element.type].kind
        if kind == "resource":
            return {element.name: _leaves(name, (*visits, Gated(None, self._inline)), None)}
        if kind != "primitive-type":
            follow = _object if element.max == 1 else _objects
            return {element.name: follow(name, visits, self.plan(element.type))}
        children = {f"_{element.name}": _siblings(name, element.name, self.plan("Element"))}
        if visits:
            children[element.name] = _leaves(name, visits, f"_{element.name}")
        return children

    def _inline(self, value: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        self._nested(value, path, walk)

    def walk(self, plan: Plan, value: dict[str, Any], path: Path, walk: Walk) -> None:
        """Visit an object and all in it."""
        _walk(plan, value, path, walk)


def _gated(wishes: Iterable[Wish]) -> tuple[Gated, ...]:
    found: list[Gated] = []
    for wish in wishes:
        if isinstance(wish, Gated):
            found.append(wish)
        elif callable(wish):
            found.append(Gated(None, wish))
        else:
            found.extend(wish or ())
    return tuple(found)


def _walk(plan: Plan, value: dict[str, Any], path: Path, walk: Walk) -> None:
    for names, visit in plan.visits:
        if names is None or not names.isdisjoint(value):
            visit(value, None, path, walk)
    children = plan.children
    for key in value:
        if key in children:
            children[key](value[key], value, path, walk)


def _object(name: str, visits: tuple[Gated, ...], plan: Plan) -> Follow:
    """Follows an element that is one object of a structure."""
    children, every = plan.children, visits + plan.visits

    def follow(item: Any, owner: dict[str, Any], path: Path, walk: Walk) -> None:
        for names, visit in every:
            if names is None or not names.isdisjoint(item):
                visit(item, None, (path, name, None), walk)
        for key in item:
            if key in children:
                children[key](item[key], item, (path, name, None), walk)

    return follow


def _objects(name: str, visits: tuple[Gated, ...], plan: Plan) -> Follow:
    """Follows an element that is a list of objects of one structure."""
    children, every = plan.children, visits + plan.visits

    def follow(item: Any, owner: dict[str, Any], path: Path, walk: Walk) -> None:
        for i, each in enumerate(item):
            # Most objects are passed through, if anything in them is looked at: codings, names.
            for names, visit in every:
                if names is None or not names.isdisjoint(each):
                    visit(each, None, (path, name, i), walk)
            for key in each:
                if key in children:
                    children[key](each[key], each, (path, name, i), walk)

    return follow


def _leaves(name: str, gated: tuple[Gated, ...], beside: str | None) -> Follow:
    """Follows an element whose items have no plan: primitives, and inline resources."""
    visits = tuple(visit for _, visit in gated)

    def follow(item: Any, owner: dict[str, Any], path: Path, walk: Walk) -> None:
        if type(item) is list:
            for i, each in enumerate(item):
                for visit in visits:
                    visit(each, None, (path, name, i), walk)
            return
        sibling = None if beside is None else owner.get(beside)
        for visit in visits:
            visit(item, sibling, (path, name, None), walk)

    return follow


def _siblings(name: str, key: str, plan: Plan) -> Follow:
    """Follows the `_name` objects beside a primitive."""

    def follow(item: Any, owner: dict[str, Any], path: Path, walk: Walk) -> None:
        if type(item) is not list:
            _walk(plan, item, (path, name, None), walk)
            if "extension" not in item and owner.get(key) is None:
                walk.fail((path, name, None), "structure", f"'{name}' has neither value nor extension here.")
            return
        values = owner.get(key) or ()
        for i in range(max(len(values), len(item))):
            beside = item[i] if i < len(item) else None
            if beside is not None:
                _walk(plan, beside, (path, name, i), walk)
            if (beside is None or "extension" not in beside) and (i >= len(values) or values[i] is None):
                walk.fail((path, name, i), "structure", f"'{name}' has neither value nor extension here.")

    return follow
