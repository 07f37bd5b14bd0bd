"""The entries of a differential: which element each of them is about.

https://hl7.org/fhir/R4/elementdefinition.html#id, https://hl7.org/fhir/R4/profiling.html#snapshot
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_server.core.errors import Unprocessable

MOST_ENTRIES = 5_000
MOST_STEPS = 40
MOST_LETTERS = 500


class Step(NamedTuple):
    """One part of an element's id: a name and, behind a colon, a slice."""

    name: str
    slice: str = ""


Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a differential says about one element; `index`: its place in the differential."""

    index: int
    element: dict[str, Any]
    steps: Steps

    @property
    def id(self) -> str:
        """The element's id, as snapshots write it."""
        return ".".join(f"{step.name}:{step.slice}" if step.slice else step.name for step in self.steps)

    def refusal(self, text: str) -> Unprocessable:
        """The error that names this entry."""
        return refusal(self.index, f"{self.id}: {text}")


def refusal(index: int, text: str) -> Unprocessable:
    """The error that names an entry of the differential."""
    return Unprocessable(text, expression=f"StructureDefinition.differential.element[{index}]")


def entries(definition: dict[str, Any]) -> Iterator[Entry]:
    """The differential's entries in order. An id says where an entry belongs; without one, its path does, below the
    latest entry with that path. Raises `Unprocessable` for one that cannot be placed."""
    elements = definition.get("differential", {}).get("element", [])
    if len(elements) > MOST_ENTRIES:
        raise refusal(MOST_ENTRIES, f"A differential has at most {MOST_ENTRIES} elements, not {len(elements)}.")
    above: list[tuple[str, Steps]] = []
    for index, element in enumerate(elements):
        path = element.get("path")
        if not isinstance(path, str) or path.count(".") >= MOST_STEPS or len(path) > MOST_LETTERS:
            raise refusal(index, f"An entry has a path of at most {MOST_STEPS} names and {MOST_LETTERS} letters.")
        if element.get("sliceName", "").count("/") >= MOST_STEPS:
            raise refusal(index, f"Slices are sliced again at most {MOST_STEPS} times.")
        while above and not path.startswith(f"{above[-1][0]}."):
            above.pop()
        steps = _by_id(index, element) or _by_path(element, above[-1] if above else ("", ()))
        above.append((path, steps))
        yield Entry(index, element, steps)


def _by_id(index: int, element: dict[str, Any]) -> Steps | None:
    """What the id says; None when there is none or it does not say the same as the path."""
    root, *parts = str(element.get("id", "")).split(".")
    # Older tools write the name of an extension behind the root: `Extension:birthsex.url`.
    steps = (Step(root.partition(":")[0]), *(Step(*part.split(":", 1)) for part in parts))
    names = element["path"].split(".")
    if len(steps) != len(names) or not all(_same(step, name) for step, name in zip(steps, names, strict=True)):
        return None
    sliced, name = steps[-1].slice, element.get("sliceName", "")
    if sliced and name and sliced != name:
        raise refusal(index, f"The id {element['id']} and the sliceName {name} say different slices: write one name.")
    return (*steps[:-1], Step(steps[-1].name, sliced or name))


def _same(step: Step, name: str) -> bool:
    """The short path of a choice, `valueQuantity`, says what the id `value[x]:valueQuantity` says."""
    return step.name == name or (step.name.endswith("[x]") and step.slice == name)


def _by_path(element: dict[str, Any], above: tuple[str, Steps]) -> Steps:
    path, steps = above
    names = element["path"].removeprefix(f"{path}.").split(".") if path else element["path"].split(".")
    return (*steps, *(Step(name) for name in names[:-1]), Step(names[-1], element.get("sliceName", "")))
