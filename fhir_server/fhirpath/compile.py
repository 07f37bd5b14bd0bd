"""A syntax tree to nested closures, with the types worked out beforehand where they are known.

A compiled expression is called with the focus (`$this`, a collection) and the environment. Conditions are compiled
twice over: as a collection, and as a test that answers True, False or None without making one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import EMPTY, FALSE, STRING, TRUE, Env, Nodes, boolean
from fhir_server.fhirpath.operators import BINARY, negative
from fhir_server.fhirpath.paths import Level, Paths, Types
from fhir_server.fhirpath.syntax import (
    Binary,
    Call,
    External,
    Index,
    Literal,
    Member,
    Sign,
    Tree,
    TypeTest,
    Variable,
    walk,
)

Run = Callable[[Nodes, Env], Nodes]
Test = Callable[[Nodes, Env], "bool | None"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression ready to run. types: what its items can be, None if unknown. test: set when it is a condition."""

    run: Run
    types: Types
    test: Test | None = None

    def condition(self) -> Test:
        """The expression as a condition."""
        if self.test is not None:
            return self.test
        run = self.run
        return lambda this, env: boolean(run(this, env))


def condition(test: Test) -> Compiled:
    """A compiled expression made from a test."""

    def run(this: Nodes, env: Env) -> Nodes:
        value = test(this, env)
        return TRUE if value else EMPTY if value is None else FALSE

    return Compiled(run, frozenset({"System.Boolean"}), test)


Build = Callable[["Compiler", Compiled, tuple[Tree, ...], Types], Compiled]


class Compiler:
    """Compiles one tree. `functions`: name -> builder. `needs_env` is set once anything asks for the environment."""

    def __init__(self, paths: Paths, functions: Mapping[str, Build]) -> None:
        self.paths = paths
        self.functions = functions
        self.needs_env = False

    def compile(self, tree: Tree, this: Types) -> Compiled:
        """The closure of `tree`, evaluated where `$this` has the types `this`."""
        match tree:
            case Literal(type=None):
                return Compiled(lambda this, env: EMPTY, frozenset())
            case Literal(type=type_, value=value) if type_:
                constant: Nodes = [(type_, value, None)]
                test = (lambda this, env: bool(value)) if isinstance(value, bool) else None
                return Compiled(lambda this, env: constant, frozenset({type_}), test)
            case Variable(name=name):
                return self._variable(name, this)
            case External(name=name):
                return self._external(name)
            case Member(source=source, name=name):
                return self._member(source, name, this)
            case Call():
                return self._call(tree, this)
            case Index(source=source, at=at):
                return self._index(self.compile(source, this), self.compile(at, this))
            case Sign(operator=operator, operand=operand):
                inner = self.compile(operand, this)
                run, sign = inner.run, -1 if operator == "-" else 1
                return Compiled(lambda this, env: negative(run(this, env), sign), inner.types)
            case Binary(operator=operator, left=left, right=right):
                return self._binary(operator, self.compile(left, this), self.compile(right, this), right)
            case TypeTest(operator=operator, operand=operand, type=type_):
                return self.functions[operator](self, self.compile(operand, this), (_type_tree(type_),), this)
        raise AssertionError(tree)

    def member(self, source: Compiled | None, name: str, types: Types) -> Compiled:
        """The children `name` of a compiled source (None: of the focus, whose types are `types`)."""
        level, found = self._step(name, types)
        if source is None:
            return Compiled(lambda this, env: level(this), found)
        run = source.run
        return Compiled(lambda this, env: level(run(this, env)), found)

    def uses_loop(self, *trees: Tree) -> bool:
        """Whether the trees mention `$index` or `$total`, which loops then have to keep."""
        return any(
            isinstance(part, Variable) and part.name != "$this" for tree in trees for part in walk(tree)
        )

    def _member(self, source: Tree | None, name: str, this: Types) -> Compiled:
        if source is None:
            if self._names_focus(name, this):
                return Compiled(lambda this, env: this, this)
            return self.member(None, name, this)
        if isinstance(source, Member) and source.source is None and source.name == "FHIR":
            return self._member(None, name, this)
        inner = self.compile(source, this)
        return self.member(inner, name, inner.types)

    def _names_focus(self, name: str, this: Types) -> bool:
        """Whether a leading name is the type of the focus (`Patient` in `Patient.name`)."""
        if not name[0].isupper() or name not in self.paths.structures:
            return False
        if this is None:
            return True
        if any(self.paths.conforms(type_, name) for type_ in this):
            return True
        if all(self.paths.level(type_, name) is None for type_ in this):
            raise FhirPathError(f"The expression is about {name}, but stands on {_listed(this)}.")
        return False

    def _step(self, name: str, types: Types) -> tuple[Level, Types]:
        if types is None or not types:
            return self.paths.dynamic(name), None
        known = {type_: self.paths.level(type_, name) for type_ in types}
        steps = [step for step in known.values() if step is not None]
        if not steps:
            if any(self._open(type_) for type_ in types):
                return self.paths.dynamic(name), None
            raise FhirPathError(self._unknown(name, types))
        found: Types = frozenset()
        for _, step_types in steps:
            found = None if found is None or step_types is None else found | step_types
        return (steps[0][0] if len(known) == 1 else self.paths.dynamic(name)), found

    def _open(self, type_: str) -> bool:
        structure = self.paths.structures.get(type_)
        return structure is not None and structure.abstract

    def _unknown(self, name: str, types: frozenset[str]) -> str:
        for type_ in types:
            structure = self.paths.structures.get(type_)
            element = structure.elements.get(name) if structure else None
            if element is not None and element.choice:
                return f"Write '{element.choice}.ofType({element.type})' for '{name}' of {type_} in FHIRPath."
        return f"There is no element '{name}' in {_listed(types)}."

    def _variable(self, name: str, this: Types) -> Compiled:
        if name == "$this":
            return Compiled(lambda this, env: this, this)
        self.needs_env = True
        if name == "$index":
            return Compiled(lambda this, env: [("System.Integer", env.index, None)], frozenset({"System.Integer"}))
        return Compiled(lambda this, env: env.total, None)

    def _external(self, name: str) -> Compiled:
        self.needs_env = True
        known = _EXTERNALS.get(name)
        if known is not None:
            return Compiled(known, None)
        constant = _constant(name)
        if constant is not None:
            nodes: Nodes = [(STRING, constant, None)]
            return Compiled(lambda this, env: env.variables.get(name, nodes), None)

        def run(this: Nodes, env: Env) -> Nodes:
            if name not in env.variables:
                raise FhirPathError(f"There is no variable %{name}.")
            return env.variables[name]

        return Compiled(run, None)

    def _call(self, tree: Call, this: Types) -> Compiled:
        build = self.functions.get(tree.name)
        if build is None:
            raise FhirPathError(f"There is no function '{tree.name}' in FHIRPath.")
        if tree.source is None:
            source = Compiled(lambda this, env: this, this)
        else:
            source = self.compile(tree.source, this)
        return build(self, source, tree.arguments, this)

    def _index(self, source: Compiled, at: Compiled) -> Compiled:
        run, position = source.run, at.run

        def item(this: Nodes, env: Env) -> Nodes:
            where = position(this, env)
            if not where:
                return EMPTY
            i = where[0][1]
            if len(where) > 1 or type(i) is not int:
                raise FhirPathError("An index must be one integer.")
            nodes = run(this, env)
            return nodes[i : i + 1] if i >= 0 else EMPTY

        return Compiled(item, source.types)

    def _binary(self, operator: str, left: Compiled, right: Compiled, right_tree: Tree) -> Compiled:
        if operator in _LOGIC:
            return condition(_LOGIC[operator](left.condition(), right.condition()))
        if operator == "=" and isinstance(right_tree, Literal) and right_tree.type == STRING:
            return condition(_equals_text(left.run, right_tree.value))
        apply, is_condition = BINARY[operator]
        first, second = left.run, right.run
        if is_condition:
            return condition(lambda this, env: apply(first(this, env), second(this, env)))
        types = None
        if operator == "|" and left.types is not None and right.types is not None:
            types = left.types | right.types
        return Compiled(lambda this, env: apply(first(this, env), second(this, env)), types)


def _equals_text(run: Run, value: str) -> Test:
    def test(this: Nodes, env: Env) -> bool | None:
        nodes = run(this, env)
        if not nodes:
            return None
        return len(nodes) == 1 and nodes[0][1] == value

    return test


def _and(left: Test, right: Test) -> Test:
    def test(this: Nodes, env: Env) -> bool | None:
        first = left(this, env)
        if first is False:
            return False
        second = right(this, env)
        return second if first or second is False else None

    return test


def _or(left: Test, right: Test) -> Test:
    def test(this: Nodes, env: Env) -> bool | None:
        first = left(this, env)
        if first:
            return True
        second = right(this, env)
        return second if first is False or second else None

    return test


def _xor(left: Test, right: Test) -> Test:
    def test(this: Nodes, env: Env) -> bool | None:
        first, second = left(this, env), right(this, env)
        return None if first is None or second is None else first is not second

    return test


def _implies(left: Test, right: Test) -> Test:
    def test(this: Nodes, env: Env) -> bool | None:
        first = left(this, env)
        if first is False:
            return True
        second = right(this, env)
        return second if first or second else None

    return test


_LOGIC: Mapping[str, Callable[[Test, Test], Test]] = {"and": _and, "or": _or, "xor": _xor, "implies": _implies}

_EXTERNALS: Mapping[str, Run] = {
    "resource": lambda this, env: [env.resource],
    "rootResource": lambda this, env: [env.root],
    "context": lambda this, env: env.context,
}
_CONSTANTS = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}


def _constant(name: str) -> str | None:
    if name.startswith("vs-"):
        return f"http://hl7.org/fhir/ValueSet/{name[3:]}"
    if name.startswith("ext-"):
        return f"http://hl7.org/fhir/StructureDefinition/{name[4:]}"
    return _CONSTANTS.get(name)


def _type_tree(name: str) -> Tree:
    space, _, bare = name.rpartition(".")
    return Member(Member(None, space), bare) if space else Member(None, bare)


def _listed(types: frozenset[str]) -> str:
    return " or ".join(sorted(types)[:4])
