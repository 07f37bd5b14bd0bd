"""The elements of a snapshot as a tree: below each element its children, beside it its slices.

https://hl7.org/fhir/R4/elementdefinition.html#id
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Element = dict[str, Any]

MOST_DEPTH = 60

@dataclass(slots=True, eq=False)
class Node:
    """An element where it stands. `name`: last part of its path; `slice`: its slice name, `a/b` below `a`; `closed`: no
    slice may be added; `slices`: by name, in order. `element` is shared with other trees: it is replaced, never
    changed."""

    element: Element
    name: str
    slice: str = ""
    closed: bool = False
    children: list["Node"] = field(default_factory=list)
    slices: dict[str, "Node"] = field(default_factory=dict)

    def child(self, name: str) -> "Node | None":
        """The child of that name that is not a slice."""
        return next((node for node in self.children if node.name == name), None)

    def slice_named(self, name: str) -> "Node | None":
        """The slice of that full name, at any depth of re-slicing."""
        found = self.slices.get(name)
        upper = None if found is not None else self.divided(name)
        return found if upper is None else upper.slice_named(name)

    def divided(self, name: str) -> "Node | None":
        """The slice that a slice of that name divides further: `a` of `a/b`."""
        parts = name.split("/")
        return next((s for n in range(1, len(parts)) if (s := self.slices.get("/".join(parts[:n]))) is not None), None)

    def copy(self) -> "Node":
        """The same, to be changed apart."""
        return Node(
            self.element, self.name, self.slice, self.closed,
            [node.copy() for node in self.children], {name: node.copy() for name, node in self.slices.items()},
        )  # fmt: skip

    def size(self) -> int:
        """How many elements the tree has."""
        return 1 + sum(node.size() for node in self.children) + sum(node.size() for node in self.slices.values())


def is_maximum(text: str) -> bool:
    """Whether an ElementDefinition.max is one: `*` or a number."""
    return text == "*" or (text.isascii() and text.isdigit() and len(text) < 10)


def new_node(element: Element) -> Node:
    """An element without children."""
    name = element["path"].rpartition(".")[2]
    return Node(element, name, element.get("sliceName", ""), element.get("slicing", {}).get("rules") == "closed")


def tree_of(elements: Sequence[Element]) -> Node:
    """The tree of a snapshot's elements, which stand in order. Raises `ValueError` when they do not or are too deep."""
    root = new_node(elements[0])
    above = [root]
    for element in elements[1:]:
        depth = element["path"].count(".")
        if not 0 < depth <= min(len(above), MOST_DEPTH) or element.get("sliceName", "").count("/") > MOST_DEPTH:
            raise ValueError(element["path"])
        del above[depth:]
        node = new_node(element)
        beside = above[-1].child(node.name) if node.slice else None
        if beside is None:
            above[-1].children.append(node)
        else:
            slices = _innermost(beside, node.slice).slices
            if node.slice in slices:
                raise ValueError(element["path"])
            slices[node.slice] = node
        above.append(node)
    return root


def _innermost(node: Node, name: str) -> Node:
    """The element or slice that a slice of that name divides."""
    upper = node.divided(name)
    return node if upper is None else _innermost(upper, name)


def elements_of(root: Node) -> list[Element]:
    """The tree as a snapshot's elements: each with its children, then its slices. https://hl7.org/fhir/R4/profiling.html#snapshot"""
    return list(_elements(root, root.name, root.name))


def _elements(node: Node, id_: str, path: str) -> Iterator[Element]:
    named = f"{id_}:{node.slice}" if node.slice else id_
    yield {"id": named, "path": path, **{k: v for k, v in node.element.items() if k not in ("id", "path")}}
    for child in node.children:
        yield from _elements(child, f"{named}.{child.name}", f"{path}.{child.name}")
    for part in node.slices.values():
        yield from _elements(part, id_, path)
