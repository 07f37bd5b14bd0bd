"""trace, defineVariable, now and today. https://hl7.org/fhirpath/N1/#utility-functions"""

from collections.abc import Mapping

from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.build import arity
from fhir_server.fhirpath.nodes import DATE, DATETIME, STRING, TIME, Env, Nodes, string
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Literal, Tree
from fhir_server.fhirpath.variables import is_reserved


def _trace(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("trace", arguments, 1, 2)
    run, name = source.run, compiler.scoped(arguments[0], this).run
    shown = compiler.inner(arguments[1], source.types).run if len(arguments) > 1 else None

    def traced(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        if env.trace:
            label = string(name(this, env), "'trace'") or ""
            env.spend(nodes)
            env.trace(label, [n for node in nodes for n in shown([node], env)] if shown else nodes)
        return nodes

    compiler.needs_env = True
    return Compiled(traced, source.types, element=source.element, ordered=source.ordered)


def _define_variable(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("defineVariable", arguments, 1, 2)
    name = arguments[0].value if isinstance(arguments[0], Literal) and arguments[0].type == STRING else ""
    if not name:
        raise FhirPathError("The name that 'defineVariable' is given must be written out, as a string.")
    if is_reserved(name) or any(name in scope for scope in compiler.scopes):
        raise FhirPathError(f"There is a variable %{name} already.")
    run, value = source.run, compiler.scoped(arguments[1], source.types).run if len(arguments) > 1 else None
    # Scopes that do not overlap may use one name: what is defined in a loop is defined anew in each round.
    compiler.scopes[-1].add(name)
    compiler.needs_env = True

    def defined(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        if name in env.variables:
            raise FhirPathError(f"There is a variable %{name} already.")
        env.defined[name] = value(nodes, env) if value else nodes
        return nodes

    return Compiled(defined, source.types, element=source.element, ordered=source.ordered)


def _clock(name: str, type_: str, start: int, end: int) -> Build:
    """One part of the ISO text of the evaluation's moment."""

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, 0)
        compiler.needs_env = True

        def run(this: Nodes, env: Env) -> Nodes:
            return [(type_, env.moment().isoformat(timespec="milliseconds")[start:end], None)]

        return Compiled(run, frozenset({type_}))

    return build


FUNCTIONS: Mapping[str, Build] = {
    "trace": _trace,
    "defineVariable": _define_variable,
    "now": _clock("now", DATETIME, 0, 29),
    "today": _clock("today", DATE, 0, 10),
    "timeOfDay": _clock("timeOfDay", TIME, 11, 23),
}
