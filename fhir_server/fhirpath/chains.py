"""Several plain steps in one go: `name.given` without a list of nodes for the names.

A step is plain when its child can only be one JSON property, which is not an inline resource. What `paths.py` does to
one node after the other is done here to one JSON object: a call between the two would cost a fifth of a short path.
"""

from collections.abc import Callable
from typing import Any

from fhir_server.fhirpath.compiled import Run
from fhir_server.fhirpath.nodes import Env, Nodes
from fhir_server.fhirpath.paths import Option, gather, one

_Into = Callable[[Any, Nodes], None]


def fused(steps: tuple[Option, ...]) -> Run:
    """The closure of the steps from a focus of objects."""
    if len(steps) == 1:
        return one(steps[0])
    into = _last(steps[-1])
    for step in reversed(steps[1:-1]):
        into = _through(step.json, into)
    return _from_focus(steps[0].json, into)


def _from_focus(json: str, into: _Into) -> Run:
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
