"""$fhirpath: expressions evaluated on a stored resource or on one that is sent along."""

from collections.abc import Iterator, Mapping
from time import thread_time
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, TooCostly
from fhir_server.core.resource_json import decode
from fhir_server.fhirpath import Env, FhirPathError, Node, Nodes, Services, evaluate_on
from fhir_server.interactions.places import Shadow
from fhir_server.interactions.read import read
from fhir_server.operations.call import OperationCall
from fhir_server.operations.fhirpath_items import Items, location
from fhir_server.operations.fhirpath_services import CallerServices

_MOST_EXPRESSIONS = 20
_MOST_CONTEXTS = 1_000
# Processor time of all expressions on all context items together; one evaluation has a budget of its own.
_MOST_SECONDS = 2.0

Traced = list[tuple[str, Nodes]]


def fhirpath(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with a `result` for each expression and context item: its items with type, place and value.

    Raises `Invalid` for an expression that is wrong or takes too much work, with line and column; `TooCostly` when all
    of it together does; `NotFound` for an instance that the caller may not read.
    """
    resource = _resource(ctx, call)
    expressions: list[str] = call.parameters["expression"]
    if len(expressions) > _MOST_EXPRESSIONS:
        raise TooCostly(f"$fhirpath takes at most {_MOST_EXPRESSIONS} expressions.", expression="http.expression")
    run = _Evaluations(ctx, resource, _variables(call), strict=call.parameters.get("strict", False))
    context: str | None = call.parameters.get("context")
    items = Items(ctx.registry)
    results = []
    for at, focus in enumerate(run.contexts(context)):
        where = None if context is None else run.context_place(context, at)
        for expression in expressions:
            parts = [{"name": "expression", "valueString": expression}]
            parts += [{"name": "context", "valueString": where}] if where else []
            nodes, traced = run.evaluate(expression, focus)
            places = run.places(expression, context, at, nodes)
            parts += [items.part(node, place) for node, place in zip(nodes, places, strict=True)]
            parts += [items.trace(name, shown) for name, shown in traced]
            results.append({"name": "result", "part": parts})
    made: dict[str, Any] = {"resourceType": "Parameters"}
    return {**made, "parameter": results} if results else made


def _resource(ctx: Context, call: OperationCall) -> dict[str, Any]:
    given: dict[str, Any] | None = call.parameters.get("resource")
    if call.id is not None:
        if given is not None:
            text = "On an instance $fhirpath works on the stored resource: send none."
            raise Invalid(text, expression="http.resource")
        stored: dict[str, Any] = decode(read(ctx, call.type or "", call.id).body)
        return stored
    if given is None:
        raise Invalid("There is no resource to evaluate on.", expression="http.resource", code="required")
    if call.type is not None and given.get("resourceType") != call.type:
        raise Invalid(f"The resource is not a {call.type}, as the URL says.", expression="http.resource")
    return given


def _variables(call: OperationCall) -> dict[str, Nodes]:
    found: dict[str, Nodes] = {}
    for variable in call.parameters.get("variable", ()):
        if variable["name"] in found:
            raise Invalid(f"There are two variables %{variable['name']}.", expression="http.variable")
        found[variable["name"]] = variable.get("value", [])
    return found


class _Evaluations:
    """The evaluations of one call, on the resource and, to learn where results stand, on a copy that shows it."""

    def __init__(
        self, ctx: Context, resource: dict[str, Any], variables: Mapping[str, Nodes], *, strict: bool
    ) -> None:
        self._ctx = ctx
        self._resource = resource
        self._variables = variables
        self._strict = strict
        self._services: Services = CallerServices(ctx, resource)
        self._shadow = Shadow(resource)
        self._contexts: dict[tuple[str, bool], Nodes] = {}
        self._until = thread_time() + _MOST_SECONDS

    def contexts(self, expression: str | None) -> Nodes:
        """What the expressions are evaluated on."""
        found = [self._root()] if expression is None else self._context(expression)
        if len(found) > _MOST_CONTEXTS:
            raise TooCostly(f"The context has more than {_MOST_CONTEXTS} items.", expression="http.context")
        return found

    def context_place(self, expression: str, at: int) -> str | None:
        """Where a context item stands."""
        copies = self._context(expression, shadow=True)
        return self._location(copies[at]) if at < len(copies) else None

    def evaluate(self, expression: str, focus: Node) -> tuple[Nodes, Traced]:
        """The items of an expression on one context item, and what it traced."""
        traced: Traced = []
        nodes = self._run(expression, focus, "http.expression", traced)
        return nodes, traced

    def places(self, expression: str, context: str | None, at: int, nodes: Nodes) -> Iterator[str | None]:
        """Where each item of a result stands; None for what is computed."""
        focus = self._root(shadow=True) if context is None else self._context(context, shadow=True)[at]
        copies = self._run(expression, focus, "http.expression", shadow=True)
        alike = len(copies) == len(nodes) and all(a[0] == b[0] for a, b in zip(copies, nodes, strict=True))
        return (self._location(node) if alike else None for node in (copies if alike else nodes))

    def _location(self, node: Node) -> str | None:
        place = self._shadow.place(node)
        return None if place is None else location(self._resource, place, self._ctx.registry)

    def _root(self, shadow: bool = False) -> Node:
        return self._resource["resourceType"], self._shadow.root if shadow else self._resource, None

    def _context(self, expression: str, shadow: bool = False) -> Nodes:
        key = (expression, shadow)
        if key not in self._contexts:
            self._contexts[key] = self._run(expression, self._root(shadow), "http.context", shadow=shadow)
        return self._contexts[key]

    def _run(
        self, expression: str, focus: Node, parameter: str, traced: Traced | None = None, *, shadow: bool = False
    ) -> Nodes:
        if thread_time() > self._until:
            raise TooCostly("The expressions take too long together.", expression=parameter)
        env = Env(
            self._root(shadow), variables=self._variables, now=self._ctx.now, context=[focus], services=self._services,
            trace=None if traced is None else lambda name, nodes: traced.append((name, nodes)), guesses=False,
        )  # fmt: skip
        try:
            return evaluate_on(expression, focus, env, self._ctx.registry, strict=self._strict)
        except FhirPathError as error:
            raise Invalid(str(error), expression=parameter, code="processing") from None
