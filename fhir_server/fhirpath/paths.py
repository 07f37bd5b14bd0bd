"""Navigation over typed nodes: which JSON properties a child name means, worked out once per type.

https://hl7.org/fhir/R4/fhirpath.html#polymorphism
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fhir_server.conformance.structures import Structure
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import KINDS, STRING, Node, Nodes

Types = frozenset[str] | None

TYPE_INFO = "TypeInfo"
_TYPE_INFO_CHILDREN = ("namespace", "name")


class Level(Protocol):
    """A step from nodes to their children. The environment is there so that a step is a whole expression too."""

    def __call__(self, nodes: Nodes, env: Any = None) -> Nodes:
        """The children."""
        ...


class Option(NamedTuple):
    """One JSON property that a child name can mean. type None: an inline resource, which says its type itself."""

    json: str
    type: str | None
    primitive: bool


class Paths:
    """The child steps of every type. Cached, shared by all expressions over the same structures."""

    def __init__(self, structures: Mapping[str, Structure]) -> None:
        self.structures = structures
        # The types that references name.
        self.resources = frozenset(name for name, each in structures.items() if each.kind == "resource")
        self._levels: dict[tuple[str, str], tuple[Level, Types]] = {}
        self._properties: dict[str, Mapping[str, Option]] = {}
        self._ancestors: dict[str, tuple[str, ...]] = {}

    def level(self, type_: str, name: str) -> tuple[Level, Types] | None:
        """The step from nodes of exactly `type_` to their children `name`, with the children's types.

        None when the type has no such child.
        """
        key = (type_, name)
        found = self._levels.get(key)
        if found is None:
            found = self._make_level(type_, name)
            # Names come from clients: what does not exist is not remembered.
            if found is not None:
                self._levels[key] = found
        return found

    def plain(self, type_: str, name: str) -> Option | None:
        """The one property that a child of an object can be; None for choices, inline resources and primitives."""
        structure = self.structures.get(type_)
        if structure is None or structure.kind == "primitive-type":
            return None
        element = structure.elements.get(name)
        if element is None or element.choice is not None:
            return None
        option = self._option(name, element.type)
        return None if option.type is None else option

    def cast(self, type_: str, name: str, wanted: str) -> tuple[Option, ...]:
        """The properties of a choice element that hold the wanted type or one derived from it."""
        structure = self.structures[type_]
        elements = [structure.elements[json] for json in structure.choices.get(name, ())]
        return tuple(self._option(e.name, e.type) for e in elements if self.conforms(e.type, wanted))

    def definition_path(self, type_: str, name: str) -> str | None:
        """Path of the definition of a child: `Observation.value[x]`. None when the type has no such child."""
        structure = self.structures.get(type_)
        if structure is None:
            return None
        json = structure.choices.get(name, (name,))[0]
        return structure.elements[json].path if json in structure.elements else None

    def dynamic(self, name: str) -> Level:
        """The step for nodes of any type; nodes whose type has no such child give nothing."""
        level = self.level
        # By type, of those that this step has met.
        steps: dict[str, Level | None] = {}

        def each(nodes: Nodes, env: Any = None) -> Nodes:
            found: Nodes = []
            for node in nodes:
                type_ = node[0]
                if type_ not in steps:
                    known = level(type_, name)
                    steps[type_] = known[0] if known else None
                step = steps[type_]
                if step is not None:
                    found += step([node])
            return found

        return each

    def children(self, nodes: Nodes) -> Nodes:
        """All child nodes, in the order of the JSON."""
        found: Nodes = []
        for type_, value, sibling in nodes:
            if type(value) is not dict or self.is_primitive(type_):
                if type(sibling) is not dict or not self.is_primitive(type_):
                    continue
                value = sibling
            properties = self.properties(type_)
            for key in value:
                option = properties.get(key)
                if option is not None:
                    gather(value, option, found)
                elif key[0] == "_" and key[1:] in properties and key[1:] not in value:
                    gather(value, properties[key[1:]], found)
        return found

    def properties(self, type_: str) -> Mapping[str, Option]:
        """JSON property -> what it holds, for one type."""
        found = self._properties.get(type_)
        if found is None:
            structure = self.structures.get(type_)
            elements = structure.elements.values() if structure else ()
            found = {element.name: self._option(element.name, element.type) for element in elements}
            self._properties[type_] = found
        return found

    def is_primitive(self, type_: str) -> bool:
        """Whether nodes of the type carry their value beside a `_name` object."""
        structure = self.structures.get(type_)
        return structure is None or structure.kind == "primitive-type"

    def conforms(self, type_: str, wanted: str) -> bool:
        """Whether `type_` is `wanted` or derived from it. System types conform only to themselves."""
        if type_ == wanted:
            return True
        found = self._ancestors.get(type_)
        if found is None:
            chain, at = [], self.structures.get(type_)
            if at is None:
                return False
            while at is not None and at.base:
                chain.append(at.base)
                at = self.structures.get(at.base)
            found = self._ancestors[type_] = tuple(chain)
        return wanted in found

    def named_type(self, name: str) -> str:
        """The type that a specifier (`Patient`, `FHIR.string`, `System.Integer`, `Integer`) names.

        A name that both FHIR and System could mean is FHIR's. Raises `FhirPathError` for an unknown one.
        """
        space, _, bare = name.rpartition(".")
        if space in ("", "FHIR") and bare in self.structures:
            return bare
        if space in ("", "System"):
            if f"System.{bare}" in KINDS:
                return f"System.{bare}"
            if space == "System" and bare in self.structures:
                return f"System.{bare}"
        raise FhirPathError(f"There is no type '{name}'.")

    def _make_level(self, type_: str, name: str) -> tuple[Level, Types] | None:
        if type_ == TYPE_INFO and name in _TYPE_INFO_CHILDREN:
            return _primitive(name, STRING), frozenset({STRING})
        structure = self.structures.get(type_)
        if structure is None:
            return None
        names = structure.choices.get(name)
        if names is None:
            element = structure.elements.get(name)
            if element is None or element.choice is not None:
                return None
            names = (name,)
        options = [self._option(json, structure.elements[json].type) for json in names]
        found = {option.type for option in options}
        types: Types = None if None in found else frozenset(t for t in found if t)
        step = any_of(options)
        if self.is_primitive(type_):
            return _of_sibling(step), types
        return step, types

    def _option(self, json: str, type_: str) -> Option:
        structure = self.structures.get(type_)
        if structure is not None and structure.kind == "resource":
            return Option(json, None, False)
        return Option(json, type_, structure is None or structure.kind == "primitive-type")


def gather(value: dict[str, Any], option: Option, found: Nodes) -> None:
    """Add to `found` what stands in one property of an object and beside it."""
    json, type_, primitive = option
    child = value.get(json)
    if primitive:
        sibling = value.get("_" + json)
        if type(child) is list or type(sibling) is list:
            _gather_list(child or [], sibling or [], type_ or "", found)
        elif child is not None or sibling is not None:
            found.append((type_ or "", child, sibling))
    elif type(child) is list:
        found.extend([(type_ or _own_type(item), item, None) for item in child if item])
    elif child is not None:
        found.append((type_ or _own_type(child), child, None))


def _gather_list(values: list[Any], siblings: list[Any], type_: str, found: Nodes) -> None:
    for i in range(max(len(values), len(siblings))):
        value = values[i] if i < len(values) else None
        sibling = siblings[i] if i < len(siblings) else None
        if value is not None or sibling is not None:
            found.append((type_, value, sibling))


def one(option: Option) -> Level:
    """The step to one property."""
    if option.type is None:
        return _resource(option.json)
    return (_primitive if option.primitive else _complex)(option.json, option.type)


def _complex(json: str, type_: str) -> Level:
    def level(nodes: Nodes, env: Any = None) -> Nodes:
        found: Nodes = []
        for node in nodes:
            child = node[1].get(json)
            if child is not None:
                if type(child) is list:
                    for item in child:
                        found.append((type_, item, None))
                else:
                    found.append((type_, child, None))
        return found

    return level


def _primitive(json: str, type_: str) -> Level:
    beside = "_" + json

    def level(nodes: Nodes, env: Any = None) -> Nodes:
        found: Nodes = []
        for node in nodes:
            value = node[1]
            child = value.get(json)
            if beside in value:
                sibling = value[beside]
                if type(sibling) is list:
                    _gather_list(child or [], sibling, type_, found)
                else:
                    found.append((type_, child, sibling))
            elif child is not None:
                if type(child) is list:
                    for item in child:
                        found.append((type_, item, None))
                else:
                    found.append((type_, child, None))
        return found

    return level


def _resource(json: str) -> Level:
    option = Option(json, None, False)

    def level(nodes: Nodes, env: Any = None) -> Nodes:
        found: Nodes = []
        for node in nodes:
            gather(node[1], option, found)
        return found

    return level


def any_of(options: Sequence[Option]) -> Level:
    """The step to whichever of the properties is there; only one is."""
    if len(options) == 1:
        return one(options[0])
    table = {option.json: option for option in options}
    # Of a choice at most one property is there: looking through the few keys of the object beats asking for each.
    table.update({"_" + option.json: option for option in options if option.primitive})

    def level(nodes: Nodes, env: Any = None) -> Nodes:
        found: Nodes = []
        for node in nodes:
            value = node[1]
            for key in value:
                option = table.get(key)
                if option is not None:
                    gather(value, option, found)
                    break
        return found

    return level


def _of_sibling(step: Level) -> Level:
    def level(nodes: Nodes, env: Any = None) -> Nodes:
        inner: list[Node] = [(node[0], node[2], None) for node in nodes if node[2]]
        return step(inner) if inner else []

    return level


def _own_type(value: Any) -> str:
    name = value.get("resourceType")
    return name if isinstance(name, str) else ""
