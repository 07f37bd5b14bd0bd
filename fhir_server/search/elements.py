"""What a search parameter's expression points at, as far as it is plain paths: element types, bindings, JSON names."""

from dataclasses import dataclass
from functools import lru_cache

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.conformance.structures import Element
from fhir_server.search.paths import Path, simple_paths, split_union


@dataclass(frozen=True, slots=True)
class Target:
    """One element that a parameter indexes. `path`: the steps from the resource; `single`: at most one value."""

    element: Element
    path: Path
    single: bool


@lru_cache(maxsize=4096)
def targets_of(registry: Registry, param: SearchParam) -> tuple[Target, ...]:
    """The elements of a parameter, of those alternatives of its expression that are plain paths."""
    found: list[Target] = []
    for part in split_union(param.expression):
        for path in simple_paths(part, param.resource_type, registry) or ():
            target = _walk(registry, param.resource_type, path)
            if target is not None:
                found.append(target)
    return tuple(found)


@lru_cache(maxsize=4096)
def single_valued(registry: Registry, param: SearchParam) -> bool:
    """Whether a resource can have at most one value of the parameter: one element, or the types of one choice."""
    targets = targets_of(registry, param)
    origins = {target.element.path for target in targets}
    return len(origins) == 1 and all(target.single for target in targets)


def _walk(registry: Registry, resource_type: str, path: Path) -> Target | None:
    structure = registry.structures.get(resource_type)
    element, single = None, True
    for step in path.steps:
        element = structure.elements.get(step.name) if structure else None
        if element is None:
            return None
        single = single and element.max == 1
        structure = registry.structures.get(element.type)
    return None if element is None else Target(element, path, single)
