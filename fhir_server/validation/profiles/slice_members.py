"""Whether an item belongs to a slice of a profile, for FHIRPath's `slice`.

https://hl7.org/fhir/R4/fhirpath.html#functions, https://hl7.org/fhir/R4/profiling.html#slicing
"""

from collections.abc import Iterator

from fhir_server.fhirpath import Node
from fhir_server.validation.profiles.compiler import Compiler
from fhir_server.validation.profiles.discriminators import Untold, belongs
from fhir_server.validation.profiles.tree import Branch
from fhir_server.validation.profiles.trial import Trial

_EXTENSIONS = ("extension", "modifierExtension")


def in_slice(trial: Trial, profile: str, name: str, node: Node) -> bool | None:
    """Whether a node belongs to the slice of this name or element id; None for a profile or slice that is not known,
    and where it depends on a resource that is not at hand.

    Raises `Unprocessable` for a profile whose slices cannot be told apart.
    """
    root = trial.plans.tree(trial.scope, profile)
    branches = {branch.id: branch for branch in _branches(root)} if root is not None else {}
    pairs = ((sliced, row) for sliced in branches.values() for row in sliced.slices)
    found = next(((sliced, row) for sliced, row in pairs if name in (row.slice, row.id)), None)
    if root is None or found is None:
        return None
    sliced, row = found
    compiler = Compiler(trial.scope.registry, trial.scope.definitions.find, profile, root.name, root, branches)
    if not any(trial.plans.is_a(node[0], type_) for type_ in compiler.type_names(sliced)):
        return False
    urls = compiler.extension_urls(row) if sliced.name in _EXTENSIONS else frozenset()
    if urls:
        return isinstance(node[1], dict) and node[1].get("url") in urls
    by_type = [{"type": "type", "path": "$this"}] if sliced.name.endswith("[x]") else []
    place = (None, sliced.name, None)
    discriminators = (sliced.element.get("slicing") or {}).get("discriminator") or by_type
    if not discriminators:
        content = compiler.content(row, node[0], sliced)
        return content is None or trial.holds(content, node, place)
    tests = [belongs(compiler, row, each, node[0], compiler.rule(row)) for each in discriminators]
    try:
        return all(test(node, place, trial) for test in tests)
    except Untold:
        return None


def _branches(branch: Branch) -> Iterator[Branch]:
    for each in branch.with_slices():
        yield each
        for part in each.parts.values():
            yield from _branches(part)
