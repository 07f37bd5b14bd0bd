"""trace, now and today. https://hl7.org/fhirpath/N1/#utility-functions"""

from collections.abc import Mapping

from fhir_server.fhirpath.compile import Build, Compiled, Compiler
from fhir_server.fhirpath.functions.build import arity
from fhir_server.fhirpath.nodes import DATE, DATETIME, TIME, Env, Nodes, string
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree


def _trace(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("trace", arguments, 1, 2)
    run, name = source.run, compiler.compile(arguments[0], this).run
    shown = compiler.compile(arguments[1], source.types).run if len(arguments) > 1 else None

    def traced(this: Nodes, env: Env) -> Nodes:
        nodes = run(this, env)
        if env.trace:
            label = string(name(this, env), "'trace'") or ""
            env.trace(label, [n for node in nodes for n in shown([node], env)] if shown else nodes)
        return nodes

    return Compiled(traced, source.types)


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
    "now": _clock("now", DATETIME, 0, 29),
    "today": _clock("today", DATE, 0, 10),
    "timeOfDay": _clock("timeOfDay", TIME, 11, 23),
}
