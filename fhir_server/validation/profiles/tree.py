"""The elements of a snapshot as a tree: children by name, slices beside the element that they slice.

For reading: published snapshots say by ids what stands where. Those that are being made are changed as they grow, and
follow paths (`conformance/element_tree.py`).

https://hl7.org/fhir/R4/elementdefinition.html#id
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fhir_server.conformance.element_tree import is_maximum
from fhir_server.conformance.snapshot_sources import Find
from fhir_server.conformance.snapshots import snapshot_of
from fhir_server.core.errors import Unprocessable


@dataclass(slots=True, eq=False)
class Branch:
    """One ElementDefinition. name: last step of its path (`value[x]`). slice: name of the slice or None. parts: its
    children by name. slices: of this element, or the re-slices of this slice, in their order."""

    id: str
    name: str
    slice: str | None
    element: Mapping[str, Any]
    parts: dict[str, "Branch"] = field(default_factory=dict)
    slices: list["Branch"] = field(default_factory=list)

    @property
    def min(self) -> int:
        """The least number of items."""
        return int(self.element.get("min", 0))

    @property
    def max(self) -> int | None:
        """The greatest number of items; None for any."""
        most = self.element.get("max", "*")
        return None if most == "*" else int(most)

    @property
    def types(self) -> Sequence[Mapping[str, Any]]:
        """ElementDefinition.type."""
        types: Sequence[Mapping[str, Any]] = self.element.get("type", ())
        return types

    def value(self, prefix: str) -> tuple[str, Any, Any] | None:
        """(type, value, `_` sibling) of `fixed[x]`, `pattern[x]`, `minValue[x]` or `maxValue[x]`, or None."""
        for key in self.element:
            name = key.removeprefix("_")
            if name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isupper():
                return name[len(prefix) :], exact(self.element.get(name)), self.element.get(f"_{name}")
        return None

    def with_slices(self) -> Iterator["Branch"]:
        """This element and all its slices and re-slices."""
        yield self
        for each in self.slices:
            yield from each.with_slices()


def exact(value: Any) -> Any:
    """JSON with decimals as the resources have them, although the definition was read with floats."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: exact(each) for name, each in value.items()}
    return [exact(each) for each in value] if isinstance(value, list) else value


def read(find: Find, canonical: str) -> tuple[Branch, dict[str, Branch]] | None:
    """The tree of a profile, as `tree` gives it; None when nobody has it. Raises `Unprocessable` as `tree` does, and
    where no snapshot can be made."""
    definition = find("StructureDefinition", canonical)
    return None if definition is None else tree(snapshot_of(definition, find))


def tree(elements: Sequence[Mapping[str, Any]]) -> tuple[Branch, dict[str, Branch]]:
    """The root of a snapshot, and every branch by id. Raises `Unprocessable` for ids that do not fit together."""
    known: dict[str, Branch] = {}
    for index, element in enumerate(elements):
        id_ = element.get("id") or element["path"]
        before, _, last = id_.rpartition(".")
        name, _, slice_ = last.partition(":")
        if not is_maximum(element.get("max", "*")):
            text = f"The max of {id_} is a number or *."
            raise Unprocessable(text, expression=f"StructureDefinition.snapshot.element[{index}].max")
        branch = known[id_] = Branch(id_, name, slice_ or None, element)
        if index and not _attach(known, before, branch):
            text = f"The element {id_} of the snapshot stands before the element that it belongs to."
            raise Unprocessable(text, expression=f"StructureDefinition.snapshot.element[{index}]")
    if not known:
        raise Unprocessable("The snapshot has no elements.", expression="StructureDefinition.snapshot")
    _check_references(known)
    return next(iter(known.values())), known


def _check_references(known: Mapping[str, Branch]) -> None:
    """Content that is told elsewhere is told there: in an element with parts, and not by another reference."""
    root = next(iter(known.values()))
    for index, branch in enumerate(known.values()):
        said = branch.element.get("contentReference")
        target = known.get(said.rpartition("#")[2]) if said and not branch.parts else None
        if target is not None and (target is root or not target.parts):
            text = f"The contentReference of {branch.id} does not lead to an element with content of its own."
            raise Unprocessable(text, expression=f"StructureDefinition.snapshot.element[{index}].contentReference")


def _attach(known: dict[str, Branch], before: str, branch: Branch) -> bool:
    parent = known.get(before)
    if parent is None:
        return False
    if branch.slice is None:
        parent.parts[branch.name] = branch
        return True
    outer = branch.slice.rpartition("/")[0]
    sliced = (outer and known.get(f"{before}.{branch.name}:{outer}")) or parent.parts.get(branch.name)
    if sliced is None:
        # A slice without the element that it slices: the element is as in the base.
        sliced = parent.parts[branch.name] = Branch(f"{before}.{branch.name}", branch.name, None, {"path": branch.id})
    sliced.slices.append(branch)
    return True
