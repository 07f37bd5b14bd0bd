"""Several plain steps in one go: `name.given` without a list of nodes for the names.

A step is plain when its child can only be one JSON property, which is not an inline resource.
"""

from collections.abc import Callable
from typing import Any

from fhir_server.fhirpath.compiled import Compiled, ItemTest, Run
from fhir_server.fhirpath.nodes import Env, Node, Nodes
from fhir_server.fhirpath.paths import Option, gather, one

_Into = Callable[[Any, Nodes], None]


def fused(steps: tuple[Option, ...]) -> Run:
    """The closure of the steps from a focus of objects."""
    if len(steps) == 1:
        return one(steps[0])
    if len(steps) == 2:
        return (_two_to_primitive if steps[1].primitive else _two_to_complex)(*steps)
    into = _last(steps[-1])
    for step in reversed(steps[1:-1]):
        into = _through(step.json, into)
    return _two(steps[0].json, into)


def _two_to_primitive(first: Option, second: Option) -> Run:
    outer, inner, kind, beside = first.json, second.json, second.type or "", "_" + second.json

    def run(nodes: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        for node in nodes:
            held = node[1].get(outer)
            if held is None:
                continue
            for value in held if type(held) is list else (held,):
                if beside in value:
                    gather(value, second, found)
                    continue
                child = value.get(inner)
                if type(child) is list:
                    for item in child:
                        found.append((kind, item, None))
                elif child is not None:
                    found.append((kind, child, None))
        return found

    return run


def _two_to_complex(first: Option, second: Option) -> Run:
    outer, inner, kind = first.json, second.json, second.type or ""

    def run(nodes: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        for node in nodes:
            held = node[1].get(outer)
            if held is None:
                continue
            for value in held if type(held) is list else (held,):
                child = value.get(inner)
                if type(child) is list:
                    for item in child:
                        found.append((kind, item, None))
                elif child is not None:
                    found.append((kind, child, None))
        return found

    return run


def _two(json: str, into: _Into) -> Run:
    def run(nodes: Nodes, env: Env) -> Nodes:
        found: Nodes = []
        for node in nodes:
            child = node[1].get(json)
            if child is not None:
                if type(child) is list:
                    for item in child:
                        into(item, found)
                else:
                    into(child, found)
        return found

    return run


def _through(json: str, into: _Into) -> _Into:
    def step(value: Any, found: Nodes) -> None:
        child = value.get(json)
        if child is not None:
            if type(child) is list:
                for item in child:
                    into(item, found)
            else:
                into(child, found)

    return step


def _last(option: Option) -> _Into:
    json, kind, beside = option.json, option.type or "", "_" + option.json

    def primitive(value: Any, found: Nodes) -> None:
        if beside in value:
            gather(value, option, found)
            return
        child = value.get(json)
        if child is not None:
            if type(child) is list:
                for item in child:
                    found.append((kind, item, None))
            else:
                found.append((kind, child, None))

    def complex_(value: Any, found: Nodes) -> None:
        child = value.get(json)
        if child is not None:
            if type(child) is list:
                for item in child:
                    found.append((kind, item, None))
            else:
                found.append((kind, child, None))

    return primitive if option.primitive else complex_


def step_of(source: Compiled) -> tuple[Option, ...]:
    """The one plain step from the focus that a source is; () when it is anything else."""
    return source.chain if source.chain is not None and len(source.chain) == 1 else ()


def any_there(steps: tuple[Option, ...]) -> ItemTest:
    """Whether one of the steps from an item leads anywhere."""
    names = tuple(step.json for step in steps)
    runs = tuple((f"_{step.json}", one(step)) for step in steps if step.primitive)

    def test(node: Node, env: Env) -> bool:
        value = node[1]
        for name in names:
            child = value.get(name)
            if child is not None and (type(child) is not list or child):
                return True
        return bool(runs) and any(beside in value and run([node]) for beside, run in runs)

    def test_one(node: Node, env: Env) -> bool:
        child = node[1].get(name)
        if child is not None:
            return type(child) is not list or bool(child)
        return bool(runs) and any(beside in node[1] and run([node]) for beside, run in runs)

    name = names[0]
    return test if len(names) > 1 else test_one
