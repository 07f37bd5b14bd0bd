"""One pass over a resource, in which every rule looks at what concerns it.

A rule is a pair of functions that are asked once per structure and once per element what they want to look at; what
they answer is bound into a plan per structure. A plan only has entries for properties that some rule looks at or
that lead to such, and the pass only follows properties that the instance has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

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

    def fail(self, path: Path, code: str, text: str, severity: str = "error") -> None:
        """Note that something is wrong at a place."""
        self.issues.append(Issue(severity, code, text, expression(path)))


# What looks at a value: (value, `_name` sibling or None, place, pass).
Visit = Callable[[Any, "dict[str, Any] | None", Path, Walk], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """on_object: what to do with every object of a structure; on_element: with every item of an element."""

    name: str
    on_object: Callable[[Registry, Structure], Visit | None] = lambda registry, structure: None
    on_element: Callable[[Registry, Structure, Element], Visit | None] = lambda registry, structure, element: None


@dataclass(slots=True)
class Child:
    """What happens to one property. name: as FHIRPath says it. plan: of the objects in it. resource: inline ones."""

    name: str
    plan: "Plan | None"
    visits: tuple[Visit, ...]
    resource: bool = False
    sibling_of: str | None = None


@dataclass(slots=True)
class Plan:
    """What happens to the objects of one structure."""

    visits: tuple[Visit, ...] = ()
    children: dict[str, Child] = field(default_factory=dict)


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
            found.visits = tuple(v for rule in self._rules if (v := rule.on_object(self._registry, structure)))
            for element in structure.elements.values():
                found.children.update(self._children(structure, element))
        return found

    def _children(self, structure: Structure, element: Element) -> dict[str, Child]:
        visits = tuple(v for rule in self._rules if (v := rule.on_element(self._registry, structure, element)))
        name = element.choice or element.name
        kind = self._registry.structures[element.type].kind
        if kind == "resource":
            return {element.name: Child(name, None, visits, resource=True)}
        if kind != "primitive-type":
            return {element.name: Child(name, self.plan(element.type), visits)}
        children = {f"_{element.name}": Child(name, self.plan("Element"), (), sibling_of=element.name)}
        if visits:
            children[element.name] = Child(name, None, visits)
        return children

    def walk(self, plan: Plan, value: dict[str, Any], path: Path, walk: Walk) -> None:
        """Visit an object and all in it."""
        for visit in plan.visits:
            visit(value, None, path, walk)
        children = plan.children
        for key, item in value.items():
            child = children.get(key)
            if child is None:
                continue
            if child.sibling_of is not None:
                self._siblings(child, value, item, path, walk)
            elif type(item) is list:
                for i, each in enumerate(item):
                    self._item(child, each, None, (path, child.name, i), walk)
            else:
                self._item(child, item, value.get("_" + key) if child.plan is None else None,
                           (path, child.name, None), walk)

    def _item(self, child: Child, item: Any, sibling: dict[str, Any] | None, path: Path, walk: Walk) -> None:
        for visit in child.visits:
            visit(item, sibling, path, walk)
        if child.plan is not None:
            self.walk(child.plan, item, path, walk)
        elif child.resource:
            self._nested(item, path, walk)

    def _siblings(self, child: Child, value: dict[str, Any], item: Any, path: Path, walk: Walk) -> None:
        plan = child.plan
        if plan is None or child.sibling_of is None:
            return
        if type(item) is not list:
            self.walk(plan, item, (path, child.name, None), walk)
            return
        values = value.get(child.sibling_of) or ()
        for i in range(max(len(values), len(item))):
            beside = item[i] if i < len(item) else None
            if beside is not None:
                self.walk(plan, beside, (path, child.name, i), walk)
            elif i >= len(values) or values[i] is None:
                walk.fail((path, child.name, i), "structure", f"'{child.name}' has neither value nor extension here.")
