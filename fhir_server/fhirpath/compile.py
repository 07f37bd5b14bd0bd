"""A syntax tree to nested closures, with the types worked out beforehand where they are known.

A compiled expression is called with the focus (`$this`, a collection) and the environment. Conditions are compiled
twice over: as a collection, and as a test that answers True, False or None without making one.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

from fhir_server.fhirpath import chains
from fhir_server.fhirpath.binary import binary
from fhir_server.fhirpath.compiled import Compiled, Run
from fhir_server.fhirpath.equality import FEW
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.fixed import fixed, remembered
from fhir_server.fhirpath.nodes import EMPTY, INTEGER, STRING, Env, Nodes
from fhir_server.fhirpath.operators import negative
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
from fhir_server.fhirpath.variables import EXTERNALS, constant

Build = Callable[["Compiler", Compiled, tuple[Tree, ...], Types], Compiled]

# An expression with more parts than this counts every reading as work: a thousand short paths over a large resource
# are as much as a loop.
_LONG = 120


class Compiler:
    """Compiles one tree. `functions`: name -> builder. `needs_env` is set once anything asks for the environment.

    strict: as N1 has it, `as` of several items and positions in collections without an order are mistakes. R4's own
    search parameters and constraints need the opposite. located: mistakes during evaluation tell their place, for some
    time more.
    """

    def __init__(
        self, paths: Paths, functions: Mapping[str, Build], *, strict: bool = False, located: bool = False
    ) -> None:
        self.paths = paths
        self.functions = functions
        self.strict = strict
        self.located = located
        self.needs_env = False
        # How many lambdas are around what is being compiled, and the variables defined in each scope.
        self.loops = 0
        self.scopes: list[set[str]] = [set()]
        self._long = False
        # Parts that are the same for every item of a loop, and how many loops are around the one being compiled.
        self._fixed: frozenset[int] = frozenset()
        self._fixed_in = 0

    def whole(self, tree: Tree, this: Types) -> Compiled:
        """The closure of a complete expression. Raises `FhirPathError`."""
        self._long, self._fixed = sum(1 for _ in walk(tree)) > _LONG, fixed(tree)
        try:
            return self.compile(tree, this)
        except RecursionError:
            raise FhirPathError("The FHIRPath expression is nested too deeply.") from None

    def compile(self, tree: Tree, this: Types) -> Compiled:
        """The closure of `tree`, evaluated where `$this` has the types `this`."""
        match tree:
            case Literal(type=None):
                return Compiled(lambda this, env: EMPTY, frozenset(), constant=EMPTY)
            case Literal(type=type_, value=value) if type_:
                nodes: Nodes = [(type_, value, None)]
                test = (lambda this, env: bool(value)) if isinstance(value, bool) else None
                return Compiled(lambda this, env: nodes, frozenset({type_}), test, constant=nodes)
            case Variable(name=name):
                return self._variable(name, this)
        if self.loops > self._fixed_in and id(tree) in self._fixed:
            return self.once(tree, this)
        return self._placed(tree, this)

    def inner(self, tree: Tree, this: Types) -> Compiled:
        """The closure of a lambda, which runs once for each item of a collection of these types."""
        self.loops += 1
        made = self.scoped(tree, this)
        self.loops -= 1
        return made

    def scoped(self, tree: Tree, this: Types) -> Compiled:
        """The closure of an argument or operand: variables defined in it end with it."""
        self.scopes.append(set())
        made = self.compile(tree, this)
        self.scopes.pop()
        return made

    def member(self, source: Compiled, name: str) -> Compiled:
        """The children `name` of a compiled source."""
        level, found = self._step(name, source.types)
        element, choice, run = None, None, source.run
        if source.types is not None and len(source.types) == 1:
            type_ = next(iter(source.types))
            element = self.paths.definition_path(type_, name)
            option = self.paths.plain(type_, name)
            if option is not None and source.chain is not None and not source.far:
                chain = (*source.chain, option)
                return Compiled(chains.fused(chain), found, chain=chain, element=element)
            choice = (source, type_, name) if option is None else None
        if source.far or self._long:
            self.needs_env = True
            return Compiled(
                lambda this, env: env.spend(level(run(this, env))), found, element=element, far=source.far,
                ordered=source.ordered,
            )  # fmt: skip
        made = level if run is _focus else lambda this, env: level(run(this, env))
        return Compiled(made, found, choice=choice, element=element, ordered=source.ordered)

    def weighed(self, source: Compiled, plainly: bool = False) -> Run:
        """The source of what compares whole items, whose size then counts as work. plainly: by Python's own equality,
        so that a few that are compared once need no look at their size."""
        run = source.run
        plain = source.types is not None and all(self.paths.is_primitive(type_) for type_ in source.types)
        if plain and not source.far:
            return run
        self.needs_env = True
        if not plainly or self.loops or source.far or self._long:
            return lambda this, env: env.weigh(run(this, env))

        def many(this: Nodes, env: Env) -> Nodes:
            nodes = run(this, env)
            if len(nodes) > FEW:
                return env.weigh(nodes)
            # Enough that the time is looked at, should they be huge.
            env.work(100 * len(nodes))
            return nodes

        return many

    def uses_loop(self, *trees: Tree) -> bool:
        """Whether the trees mention `$index` or `$total`, which loops then have to keep."""
        return any(
            isinstance(part, Variable) and part.name != "$this" for tree in trees for part in walk(tree)
        )

    def ordered(self, source: Compiled, name: str) -> None:
        """Raise `FhirPathError` where a position is asked of a collection that has no order, if that is a mistake."""
        if self.strict and not source.ordered:
            raise FhirPathError(f"'{name}' depends on an order, which children() and descendants() do not have.")

    def once(self, tree: Tree, this: Types) -> Compiled:
        """A part that is the same for every item, evaluated for the first that asks for it."""
        outer, self._fixed_in = self._fixed_in, self.loops
        made = self._placed(tree, this)
        self._fixed_in = outer
        if made.constant is not None:
            return made
        self.needs_env = True
        return remembered(made)

    def _placed(self, tree: Tree, this: Types) -> Compiled:
        offset = getattr(tree, "offset", None)
        try:
            made = self._compound(tree, this)
        except FhirPathError as error:
            error.at = offset if error.at is None else error.at
            raise
        return self._with_place(made, offset) if self.located else made

    def _compound(self, tree: Tree, this: Types) -> Compiled:
        match tree:
            case External(name=name):
                return self._external(name)
            case Member(source=source, name=name):
                return self._member(source, name, this)
            case Call():
                return self._call(tree, this)
            case Index(source=source, at=at):
                inner = self.compile(source, this)
                self.ordered(inner, "[ ]")
                return self._index(inner, self.scoped(at, this))
            case Sign(operator=operator, operand=operand):
                inner = self.compile(operand, this)
                run, sign = inner.run, -1 if operator == "-" else 1
                return Compiled(lambda this, env: negative(run(this, env), sign), inner.types)
            case Binary(operator=operator, left=left, right=right):
                return binary(self, operator, self.scoped(left, this), self.scoped(right, this))
            case TypeTest(operator=operator, operand=operand, type=type_):
                return self.functions[operator](self, self.scoped(operand, this), (_type_tree(type_),), this)
        raise AssertionError(tree)

    def _with_place(self, made: Compiled, offset: int | None) -> Compiled:
        """The same, with mistakes of its evaluation put where it stands in the expression."""
        if made.chain is not None:
            return made
        run = made.run

        def placed(this: Nodes, env: Env) -> Nodes:
            try:
                return run(this, env)
            except FhirPathError as error:
                error.at = offset if error.at is None else error.at
                raise

        return Compiled(
            placed, made.types, choice=made.choice, element=made.element, ordered=made.ordered, far=made.far
        )

    def _focus(self, this: Types) -> Compiled:
        known = this is not None and len(this) == 1 and not self.paths.is_primitive(next(iter(this)))
        return Compiled(_focus, this, chain=() if known and not self._long else None)

    def _member(self, source: Tree | None, name: str, this: Types) -> Compiled:
        if source is None:
            if self._names_focus(name, this):
                return self._focus(this)
            return self.member(self._focus(this), name)
        if isinstance(source, Member) and source.source is None and source.name == "FHIR":
            return self._member(None, name, this)
        return self.member(self.compile(source, this), name)

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
            return self._focus(this)
        self.needs_env = True
        if name == "$index":
            return Compiled(lambda this, env: [(INTEGER, env.index, None)], frozenset({INTEGER}))
        return Compiled(lambda this, env: env.total, None)

    def _external(self, name: str) -> Compiled:
        self.needs_env = True
        if any(name in scope for scope in self.scopes):
            return Compiled(lambda this, env: env.defined[name], None, far=self.loops > 0)
        known = EXTERNALS.get(name)
        if known is not None:
            return Compiled(known, None, far=self.loops > 0)
        text = constant(name)
        nodes: Nodes = [(STRING, text, None)]
        if text is not None:
            return Compiled(lambda this, env: env.variables.get(name, nodes), None)

        def run(this: Nodes, env: Env) -> Nodes:
            if name not in env.variables:
                raise FhirPathError(f"There is no variable %{name}.")
            return env.variables[name]

        return Compiled(run, None, far=self.loops > 0)

    def _call(self, tree: Call, this: Types) -> Compiled:
        build = self.functions.get(tree.name)
        if build is None:
            raise FhirPathError(f"There is no function '{tree.name}' in FHIRPath.{_near(tree.name, self.functions)}")
        source = self._focus(this) if tree.source is None else self.compile(tree.source, this)
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

        return Compiled(item, source.types, element=source.element)


def _focus(this: Nodes, env: Env) -> Nodes:
    return this


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def _type_tree(name: str) -> Tree:
    space, _, bare = name.rpartition(".")
    return Member(Member(None, space), bare) if space else Member(None, bare)


def _listed(types: frozenset[str]) -> str:
    return " or ".join(sorted(types)[:4])
