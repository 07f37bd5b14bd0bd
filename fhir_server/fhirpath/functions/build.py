"""How a plain Python function becomes a FHIRPath function."""

from collections.abc import Callable, Sequence

from fhir_server.fhirpath.compile import Build, Compiled, Compiler, Run, condition
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import EMPTY, KINDS, Env, Nodes, single
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def arity(name: str, arguments: Sequence[Tree], least: int, most: int | None = None) -> None:
    """Raise `FhirPathError` unless the number of arguments is right."""
    if not least <= len(arguments) <= (least if most is None else most):
        raise FhirPathError(f"'{name}' was given {len(arguments)} arguments.")


def compiled_arguments(compiler: Compiler, arguments: Sequence[Tree], this: Types) -> list[Run]:
    """Arguments that are evaluated once, where the call stands."""
    return [compiler.compile(argument, this).run for argument in arguments]


def condition_of(name: str, apply: Callable[..., bool | None], least: int = 0, most: int | None = None) -> Build:
    """A function `apply(nodes, *argument_nodes)` that answers True, False or None."""

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, least, most)
        run, args = source.run, compiled_arguments(compiler, arguments, this)
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
) -> Build:
    """A function `apply(nodes, *argument_nodes)` that answers a collection. same_types: of the source's types."""

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, least, most)
        run, args = source.run, compiled_arguments(compiler, arguments, this)
        found = source.types if same_types else types
        if not args:
            return Compiled(lambda this, env: apply(run(this, env)), found)
        return Compiled(lambda this, env: apply(run(this, env), *[arg(this, env) for arg in args]), found)

    return build


def of_string(name: str, apply: Callable[..., Nodes], least: int = 0, most: int | None = None) -> Build:
    """A function of one string: `apply(text, *argument_nodes)`; empty gives empty."""

    def on_nodes(nodes: Nodes, *arguments: Nodes) -> Nodes:
        node = single(nodes, f"'{name}'")
        if node is None or node[1] is None:
            return EMPTY
        if not isinstance(node[1], str) or node[0] not in KINDS:
            raise FhirPathError(f"'{name}' works on a string, not on {node[0]}.")
        return apply(node[1], *arguments)

    return collected(name, on_nodes, least, most)


def in_loop(test: Run, uses_loop: bool) -> Callable[[Nodes, Env], list[Nodes]]:
    """Runs a lambda for each item, keeping `$index` when it is asked for; the results, one per item."""
    if not uses_loop:
        return lambda nodes, env: [test([node], env) for node in nodes]

    def each(nodes: Nodes, env: Env) -> list[Nodes]:
        outer, found = env.index, []
        for env.index, node in enumerate(nodes):
            found.append(test([node], env))
        env.index = outer
        return found

    return each
