"""memberOf, subsumes and subsumedBy, which the services answer. https://hl7.org/fhir/R4/fhirpath.html#functions"""

from collections.abc import Mapping
from typing import Any

from fhir_server.fhirpath.compile import Build, Compiler
from fhir_server.fhirpath.compiled import Compiled, condition
from fhir_server.fhirpath.errors import CannotTell, FhirPathError
from fhir_server.fhirpath.functions.build import arity
from fhir_server.fhirpath.nodes import KINDS, QUANTITY, STRING, Env, Node, Nodes, single, string
from fhir_server.fhirpath.paths import Types
from fhir_server.fhirpath.syntax import Tree

_CODED = frozenset({"Coding", "CodeableConcept"})


def _member_of(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
    arity("memberOf", arguments, 1)
    run, url = source.run, compiler.scoped(arguments[0], this).run
    compiler.needs_env = True

    def test(this: Nodes, env: Env) -> bool | None:
        node, value_set = single(run(this, env), "'memberOf'"), string(url(this, env), "'memberOf'")
        if node is None or value_set is None:
            return None
        if node[0] not in _CODED and KINDS.get(node[0]) not in (STRING, QUANTITY):
            raise FhirPathError(f"'memberOf' works on codes, Codings, CodeableConcepts and strings, not on {node[0]}.")
        answer = env.ask("memberOf").member_of(value_set, node)
        if answer is None:
            raise CannotTell("'memberOf' was given a value set that is not known here, or whose content is not.")
        return answer

    return condition(test)


def _subsumption(name: str, upwards: bool) -> Build:
    """upwards: whether it is the argument that has to be above."""

    def build(compiler: Compiler, source: Compiled, arguments: tuple[Tree, ...], this: Types) -> Compiled:
        arity(name, arguments, 1)
        run, other = source.run, compiler.scoped(arguments[0], this).run
        compiler.needs_env = True

        def test(this: Nodes, env: Env) -> bool | None:
            a, b = single(run(this, env), f"'{name}'"), single(other(this, env), f"'{name}'")
            if a is None or b is None:
                return None
            return _any_subsumes(b, a, env, name) if upwards else _any_subsumes(a, b, env, name)

        return condition(test)

    return build


def _any_subsumes(above: Node, below: Node, env: Env, name: str) -> bool:
    pairs = [(a, b) for a in _codings(above, name) for b in _codings(below, name) if a.get("system") == b.get("system")]
    if not pairs and above[0] == below[0] == "Coding":
        raise FhirPathError(f"'{name}' compares codes of one code system.")
    unknown = False
    for a, b in pairs:
        system, first, second = a.get("system"), a.get("code"), b.get("code")
        if not system or not first or not second:
            continue
        answer = True if first == second else env.ask(name).subsumes(system, first, second)
        if answer:
            return True
        unknown = unknown or answer is None
    if unknown:
        raise CannotTell(f"'{name}' was given codes of a code system that is not known here.")
    return False


def _codings(node: Node, name: str) -> list[dict[str, Any]]:
    if node[0] not in _CODED:
        raise FhirPathError(f"'{name}' works on Codings and CodeableConcepts, not on {node[0]}.")
    return [node[1]] if node[0] == "Coding" else node[1].get("coding", [])


FUNCTIONS: Mapping[str, Build] = {
    "memberOf": _member_of,
    "subsumes": _subsumption("subsumes", upwards=False),
    "subsumedBy": _subsumption("subsumedBy", upwards=True),
}
