"""How a plain Python function becomes a FHIRPath function."""

from collections.abc import Callable, Sequence

from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled, ItemTest, Run, condition, item_condition
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import EMPTY, KINDS, STRING, Env, Node, Nodes, single, string
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def arity(name: str, arguments: Sequence[Tree], least: int, most: int | None = None) -> None:
    """Raise `FhirPathError` unless the number of arguments is right."""
    if not least <= len(arguments) <= (least if most is None else most):
        raise FhirPathError(f"'{name}' was given {len(arguments)} arguments.")


def compiled_arguments(compiler: Compiler, arguments: Sequence[Tree], this: Types) -> list[Run]:
    """Arguments that are evaluated once, where the call stands."""
    return [compiler.scoped(argument, this).run for argument in arguments]


def _operands(
    compiler: Compiler, source: Compiled, arguments: Sequence[Tree], this: Types, compares: bool
) -> tuple[Run, list[Run]]:
    if not compares:
        return source.run, compiled_arguments(compiler, arguments, this)
    return compiler.weighed(source), [compiler.weighed(compiler.scoped(tree, this)) for tree in arguments]


def condition_of(
    name: str, apply: Callable[..., bool | None], least: int = 0, most: int | None = None, *, compares: bool = False
) -> Build:
    """A function `apply(nodes, *argument_nodes)` that answers True, False or None. compares: whole items."""

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, least, most)
        run, args = _operands(compiler, source, arguments, this, compares)
        if not args:
            return condition(lambda this, env: apply(run(this, env)))
        if len(args) == 1:
            one = args[0]
            return condition(lambda this, env: apply(run(this, env), one(this, env)))
        return condition(lambda this, env: apply(run(this, env), *[arg(this, env) for arg in args]))

    return build


def collected(
    name: str,
    apply: Callable[..., Nodes],
    least: int = 0,
    most: int | None = None,
    types: frozenset[str] | None = None,
    same_types: bool = False,
    compares: bool = False,
) -> Build:
    """A function `apply(nodes, *argument_nodes)` that answers a collection. same_types: of the source's types;
    compares: it compares whole items."""

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, least, most)
        run, args = _operands(compiler, source, arguments, this, compares)
        found = source.types if same_types else types
        element, ordered = (source.element, source.ordered) if same_types else (None, True)
        if not args:
            return Compiled(lambda this, env: apply(run(this, env)), found, element=element, ordered=ordered)
        if len(args) == 1:
            one = args[0]
            made: Run = lambda this, env: apply(run(this, env), one(this, env))  # noqa: E731
        else:
            made = lambda this, env: apply(run(this, env), *[arg(this, env) for arg in args])  # noqa: E731
        return Compiled(made, found, element=element, ordered=ordered)

    return build


def of_string(name: str, apply: Callable[..., Nodes], least: int = 0, most: int | None = None) -> Build:
    """A function of one string: `apply(text, *argument_nodes)`; empty gives empty."""

    def on_nodes(nodes: Nodes, *arguments: Nodes) -> Nodes:
        value = _text_of(nodes, name)
        return EMPTY if value is None else apply(value, *arguments)

    return counted(name, on_nodes, least, most)


def _text_of(nodes: Nodes, name: str) -> str | None:
    node = nodes[0] if len(nodes) == 1 else single(nodes, f"'{name}'")
    if node is None or node[1] is None:
        return None
    if not isinstance(node[1], str) or node[0] not in KINDS:
        raise FhirPathError(f"'{name}' works on a string, not on {node[0]}.")
    return node[1]


def text_condition(name: str, apply: Callable[[str, str, str, Env], bool], most: int = 1) -> Build:
    """A condition `apply(text, argument, flags, environment)`, which counts its work; empty gives empty."""
    label = f"'{name}'"

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, 1, most)
        compiler.needs_env = True
        argument, *others = [compiler.scoped(tree, this) for tree in arguments]
        run, given, flags = source.run, argument.run, others[0].run if others else None
        known = None if others else argument.text()

        def on_known(this: Nodes, env: Env) -> bool | None:
            value = _text_of(run(this, env), name)
            return None if value is None or known is None else apply(value, known, "", env)

        def test(this: Nodes, env: Env) -> bool | None:
            nodes, other = run(this, env), given(this, env)
            options = flags(this, env) if flags else EMPTY
            value = _text_of(nodes, name)
            part = None if value is None else string(other, label)
            if value is None or part is None:
                return None
            return apply(value, part, string(options, label) or "", env)

        if known is None:
            return condition(test)
        if source.chain is None or len(source.chain) != 1 or KINDS.get(source.chain[0].type or "") != STRING:
            return condition(on_known)
        json = source.chain[0].json

        def item(node: Node, env: Env) -> bool | None:
            value = node[1].get(json)
            return apply(value, known, "", env) if type(value) is str else on_known([node], env)

        return item_condition(on_known, item)

    return build


def counted(name: str, apply: Callable[..., Nodes], least: int = 0, most: int | None = None) -> Build:
    """Like `collected`, for a function whose cost grows with the text that it reads and makes."""

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, least, most)
        compiler.needs_env = True
        run, args = source.run, compiled_arguments(compiler, arguments, this)

        def counting(this: Nodes, env: Env) -> Nodes:
            nodes = run(this, env)
            if nodes and isinstance(nodes[0][1], str):
                env.work(1 + len(nodes[0][1]) // 20)
            return env.spend(apply(nodes, *[arg(this, env) for arg in args]))

        return Compiled(counting, None)

    return build


def positional(name: str, part: slice | Callable[..., Nodes]) -> Build:
    """A function that picks items by their position: a part of them all, or `apply(nodes, number)`."""
    build = _sliced(name, part) if isinstance(part, slice) else collected(name, part, 1, same_types=True)

    def checked(compiler: Compiler, source: Compiled, trees: tuple[Tree, ...], this: Types) -> Compiled:
        compiler.ordered(source, name)
        return build(compiler, source, trees, this)

    return checked


def some_of(source: Compiled, run: Run) -> Compiled:
    """Some of the source's items, in their order."""
    return Compiled(run, source.types, element=source.element, ordered=source.ordered)


def _sliced(name: str, part: slice) -> Build:
    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, 0)
        run = source.run
        return some_of(source, lambda this, env: run(this, env)[part])

    return build


def criteria(compiler: Compiler, source: Compiled, tree: Tree) -> ItemTest:
    """A lambda that decides on one item, kept in step with `$index` where it asks for that."""
    test = compiler.inner(tree, source.types).of_item()
    if not compiler.uses_loop(tree):
        return test
    compiler.needs_env = True

    def counted(node: Node, env: Env) -> bool | None:
        value = test(node, env)
        env.index += 1
        return value

    return counted


def loop_source(compiler: Compiler, source: Compiled, criterion: Tree) -> Run:
    """What a loop runs over. `$index` begins at 0 behind it; within another loop its length counts as work."""
    run = source.run
    if compiler.uses_loop(criterion):
        compiler.needs_env = True

        def begun(this: Nodes, env: Env) -> Nodes:
            nodes = env.spend(run(this, env))
            env.index = 0
            return nodes

        return begun
    if not compiler.loops:
        return run
    compiler.needs_env = True
    return lambda this, env: env.spend(run(this, env))


def in_loop(project: Run, uses_loop: bool) -> Callable[[Nodes, Env], list[Nodes]]:
    """Runs a lambda for each item, keeping `$index` when it is asked for; the results, one per item."""
    if not uses_loop:
        return lambda nodes, env: [project([node], env) for node in nodes]

    def each(nodes: Nodes, env: Env) -> list[Nodes]:
        outer, found = env.index, []
        for env.index, node in enumerate(nodes):
            found.append(project([node], env))
        env.index = outer
        return found

    return each
