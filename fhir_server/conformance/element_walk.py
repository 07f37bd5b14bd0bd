"""From an entry of a differential to its element: data types are unfolded, choices and slices made, on the way.

https://hl7.org/fhir/R4/profiling.html#snapshot, https://hl7.org/fhir/R4/profiling.html#slicing
"""

from fhir_server.conformance.differential import Entry, Step
from fhir_server.conformance.element_tree import Element, Node, new_node
from fhir_server.conformance.element_types import Type, choice_type, type_code
from fhir_server.conformance.snapshot_sources import Sources

# Where an element stands: at each depth its place among its siblings and, for a slice, its place among the slices.
_Place = list[tuple[int, int]]

_BY_TYPE = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}
_BY_URL = {"discriminator": [{"type": "value", "path": "url"}], "ordered": False, "rules": "open"}
_TEXTS = ("short", "definition", "comment")


class Walk:
    """Finds the elements of a differential's entries in the base's tree. `grows`: unknown elements are new ones."""

    def __init__(self, root: Node, sources: Sources, *, grows: bool) -> None:
        self.root = root
        self.sources = sources
        self._grows = grows
        self._last: _Place | None = None
        self._seen: set[Node] = set()
        self._origin = root.copy()
        # What the choices allowed that were narrowed by a short path.
        self._choices: dict[Node, list[Type]] = {}

    def node(self, entry: Entry) -> Node:
        """The element that the entry is about. Raises `Unprocessable` when there is none or it was passed already."""
        if entry.steps[0] != Step(self.root.name):
            raise entry.refusal(f"paths begin with the type, {self.root.name}.")
        node, place = self.root, _Place()
        for depth, step in enumerate(entry.steps[1:], 1):
            last = depth == len(entry.steps) - 1
            holder, node = node, self._child(node, step, entry, last)
            number = holder.children.index(holder.child(node.name) or node)
            if step.slice and node.slice != step.slice:
                node = self._slice(node, step.slice, entry, last)
            place.append((number, id(node) if node.slice else 0))
        self._check_order(place, node, entry)
        return node

    def _check_order(self, place: _Place, node: Node, entry: Entry) -> None:
        if node in self._seen:
            raise entry.refusal("the differential says something about this element twice.")
        self._seen.add(node)
        before, self._last = self._last or [], place
        for (number, part), (earlier, sliced) in zip(place, before, strict=False):
            if number < earlier or (number == earlier and sliced and not part):
                raise entry.refusal("stands behind an element that comes later in the base: keep the base's order.")
            if (number, part) != (earlier, sliced):
                return
        if len(place) < len(before):
            raise entry.refusal("stands behind its own children: put it before them.")

    def _child(self, holder: Node, step: Step, entry: Entry, last: bool) -> Node:
        if not holder.children:
            self._unfold(holder, entry)
        found = holder.child(step.name) or self._of_choice(holder, step.name, entry)
        if found is None and self._grows and last:
            found = _new_child(holder, step.name, entry)
        if found is None:
            known = ", ".join(node.name for node in holder.children[:40])
            raise entry.refusal(f"there is no {step.name} here; there are {known}.")
        return found

    def _of_choice(self, holder: Node, name: str, entry: Entry) -> Node | None:
        """`valueQuantity`: the slice of `value[x]` by that type. A choice that is not sliced yet is narrowed to it."""
        for node in holder.children:
            types: list[Type] = self._choices.get(node) or node.element.get("type", [])
            type_ = choice_type(node.name[:-3], name, types) if node.name.endswith("[x]") else None
            if type_ is not None:
                known = node.slice_named(name)
                if known is None and (node in self._choices or "slicing" not in node.element):
                    left = node.element["type"] if node in self._choices else []
                    self._choices.setdefault(node, types)
                    node.element = {**node.element, "type": [*left, type_], "slicing": {**_BY_TYPE, "rules": "closed"}}
                return known or self._add_slice(node, name, entry)
        return None

    def _slice(self, node: Node, name: str, entry: Entry, last: bool) -> Node:
        found = node.slice_named(name)
        if found is not None:
            if last and entry.element.get("sliceIsConstraining") is False:
                raise entry.refusal(f"the base has a slice {name} already: choose another name.")
            return found
        if entry.element.get("sliceIsConstraining"):
            raise entry.refusal(f"the base has no slice {name} that could be constrained.")
        chosen = node.name.endswith("[x]") and choice_type(node.name[:-3], name, node.element.get("type", []))
        if not (last or chosen):
            raise entry.refusal(f"there is no slice {name}: an entry for the slice itself comes first.")
        return self._add_slice(node, name, entry)

    def _add_slice(self, node: Node, name: str, entry: Entry) -> Node:
        """A new slice: what its element says, so far, but not that it has to be there."""
        upper = name.rpartition("/")[0]
        holder = node.slice_named(upper) if upper else node
        if holder is None:
            raise entry.refusal(f"there is no slice {upper} that could be sliced again.")
        if holder.closed:
            raise entry.refusal("the slicing is closed in the base: no slice can be added.")
        if "slicing" not in holder.element:
            holder.element = {**holder.element, "slicing": _implied(holder, entry)}
        self.sources.spend(1 + sum(child.size() for child in holder.children))
        kept = {key: value for key, value in holder.element.items() if key != "slicing"}
        chosen = choice_type(node.name.removesuffix("[x]"), name, kept.get("type", []))
        types = {"type": [chosen]} if chosen and node.name.endswith("[x]") else {}
        part = Node({**kept, **types, "sliceName": name, "min": 0}, node.name, name)
        part.children = [child.copy() for child in holder.children]
        holder.slices[name] = part
        return part

    def _unfold(self, node: Node, entry: Entry) -> None:
        """Give an element the children of what it is."""
        reference = node.element.get("contentReference", "")
        if reference:
            node.children = self._referenced(node, reference, entry)
            return
        types = node.element.get("type", [])
        if not types:
            if self._grows:
                return
            raise entry.refusal(f"{node.name} has no type here and so no children.")
        profiles = types[0].get("profile", []) if len(types) == 1 else []
        code = type_code(types[0]) if len({type_code(t) for t in types}) == 1 else "Element"
        found = self.sources.definition(profiles[0]) if len(profiles) == 1 else self.sources.definition(code)
        if found is None:
            raise entry.refusal(f"{profiles[0] if profiles else code} is not known here: store it first.")
        node.children = self.sources.tree(found).children

    def _referenced(self, node: Node, reference: str, entry: Entry) -> list[Node]:
        """The children of the element that has the same content, as the base has them."""
        names = reference.rpartition("#")[2].split(".")
        found: Node | None = self._origin
        for name in names[1:]:
            found = found and found.child(name)
        if found is None or names[0] != self._origin.name:
            raise entry.refusal(f"the element {reference}, whose content this one has, is not there.")
        self.sources.spend(found.size())
        kept: Element = {key: value for key, value in node.element.items() if key != "contentReference"}
        node.element = {**kept, "type": found.element.get("type", [])}
        return [child.copy() for child in found.children]

    def describe(self, node: Node, entry: Entry) -> None:
        """A slice of extensions is described by its definition where the differential does not do it."""
        types = node.element.get("type", [])
        profiles = types[0].get("profile", []) if node.slice and len(types) == 1 else []
        if not profiles or type_code(types[0]) != "Extension":
            return
        found = self.sources.definition(profiles[0]) or {}
        told = next((found[part]["element"][0] for part in ("snapshot", "differential") if part in found), None)
        if told is not None:
            texts: Element = {k: told[k] for k in _TEXTS if k in told and k not in entry.element}
            node.element = {**node.element, **texts}


def _implied(node: Node, entry: Entry) -> Element:
    types = {type_code(type_) for type_ in node.element.get("type", ())}
    if node.name.endswith("[x]"):
        return dict(_BY_TYPE)
    if types == {"Extension"}:
        return dict(_BY_URL)
    raise entry.refusal(f"{node.name} is not sliced: say by what (`slicing`) in an entry before its slices.")


def _new_child(holder: Node, name: str, entry: Entry) -> Node:
    """A new element of a new type."""
    own = entry.element
    base = {"path": own["path"], "min": own.get("min", 0), "max": own.get("max", "*")}
    types = {"type": own["type"]} if "type" in own else {}
    reference = {"contentReference": own["contentReference"]} if "contentReference" in own else {}
    node = new_node({"path": own["path"], "min": 0, "max": "*", "base": base, **types, **reference})
    holder.children.append(node)
    return node
