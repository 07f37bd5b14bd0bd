"""The items of a FHIRPath collection, and the environment that an evaluation runs in.

A node is `(type, value, sibling)`. type: FHIR type name (`CodeableConcept`, `code`, `Observation.component`) or
`System.String` and its kin for literals and computed values. value: the JSON value; None for a primitive that has only
extensions. sibling: the `_name` object of a primitive, or None.
https://hl7.org/fhir/R4/fhirpath.html
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import thread_time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath import allowance
from fhir_server.fhirpath.errors import CannotTell, FhirPathError

if TYPE_CHECKING:
    from fhir_server.fhirpath.services import Services

Node = tuple[str, Any, dict[str, Any] | None]
Nodes = list[Node]

BOOLEAN, STRING, INTEGER, DECIMAL = "System.Boolean", "System.String", "System.Integer", "System.Decimal"
DATE, DATETIME, TIME, QUANTITY = "System.Date", "System.DateTime", "System.Time", "System.Quantity"

# Shared results. Nobody changes a collection that was returned to him.
EMPTY: Nodes = []
TRUE: Nodes = [(BOOLEAN, True, None)]
FALSE: Nodes = [(BOOLEAN, False, None)]
_NO_VARIABLES: Mapping[str, Nodes] = MappingProxyType({})

# What a primitive's value is in FHIRPath's own type system. https://hl7.org/fhir/R4/fhirpath.html#types
KINDS: Mapping[str, str] = {
    "boolean": BOOLEAN,
    **dict.fromkeys(
        ("string", "code", "id", "markdown", "uri", "url", "canonical", "oid", "uuid", "base64Binary", "xhtml"), STRING
    ),
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt"), INTEGER),
    "decimal": DECIMAL,
    "date": DATE,
    **dict.fromkeys(("dateTime", "instant"), DATETIME),
    "time": TIME,
    **dict.fromkeys(("Quantity", "Age", "Distance", "Duration", "Count", "MoneyQuantity", "SimpleQuantity"), QUANTITY),
    **{name: name for name in (BOOLEAN, STRING, INTEGER, DECIMAL, DATE, DATETIME, TIME, QUANTITY)},
}
NUMBERS, TEMPORAL = frozenset({INTEGER, DECIMAL}), frozenset({DATE, DATETIME, TIME})


# Clients write expressions (patches, search parameters): one must not fill the memory or run for minutes.
MOST_WORK = 4_000_000
MOST_SECONDS = 1.0
LONGEST_TEXT = 200_000
SERVICE_WORK = 4_000
_SLICE = 5_000


class Env:
    """What an evaluation can reach besides its focus.

    resource: `%resource`. root: `%rootResource`, which differs inside a contained resource. context: `%context`.
    variables: further `%name`. index, total: `$index`, `$total` of the innermost loop. trace: receives (name, nodes).
    services: what the server around can be asked; None where there is only the resource. guesses: whether a reference
    that leads nowhere still gives a node that knows its type. The budget of work and time holds for one context: who
    evaluates several expressions with one environment sets `context` anew before each. defined: by defineVariable().
    entries: of the Bundle that is evaluated on, once they were looked for.
    """

    __slots__ = (
        "_accounted", "_last", "_left", "_once", "_once_in", "_slices", "_until", "context", "defined", "entries",
        "guesses", "index", "now", "resource", "root", "services", "total", "trace", "variables",
    )  # fmt: skip

    def __init__(
        self,
        resource: Node,
        root: Node | None = None,
        variables: Mapping[str, Nodes] | None = None,
        now: datetime | None = None,
        context: Nodes | None = None,
        trace: Callable[[str, Nodes], None] | None = None,
        services: "Services | None" = None,
        guesses: bool = True,
    ) -> None:
        self.resource = resource
        self.root = root or resource
        self.context = [resource] if context is None else context
        self.variables: Mapping[str, Nodes] = variables or _NO_VARIABLES
        self.now = now
        self.index = 0
        self.total: Nodes = EMPTY
        self.trace = trace
        self.services = services
        self.guesses = guesses
        self.defined: dict[str, Nodes] = {}
        self.entries: Any = None
        self._left = _SLICE
        self._accounted: Nodes | None = None
        self._once_in: Nodes | None = None

    def spend(self, nodes: Nodes) -> Nodes:
        """Count the items that an expression makes from others. Raises `FhirPathError` when they grow out of hand."""
        self._left -= len(nodes)
        if self._left < 0:
            self._account()
        return nodes

    def work(self, amount: int) -> None:
        """Count work in units of about 100 ns. Raises `FhirPathError` when an evaluation takes too much of it."""
        self._left -= amount
        if self._left < 0:
            self._account()

    def weigh(self, nodes: Nodes) -> Nodes:
        """Count items that are about to be compared: objects by all that is in them."""
        for node in nodes:
            self._left -= weight(node)
        if self._left < 0:
            self._account()
        return nodes

    def once(self, run: "Callable[[Nodes, Env], Nodes]") -> Nodes:
        """What does not depend on the focus, evaluated the first time it is asked for in an evaluation."""
        if self._once_in is not self.context:
            self._once: dict[Callable[[Nodes, Env], Nodes], Nodes] = {}
            self._once_in = self.context
        nodes = self._once.get(run)
        if nodes is None:
            nodes = self._once[run] = run(EMPTY, self)
        return self.spend(nodes)

    def ask(self, what: str) -> "Services":
        """The services, for one question, which counts as work. Raises `CannotTell` where there are none."""
        if self.services is None:
            raise CannotTell(f"'{what}' cannot be told here.")
        self._left -= SERVICE_WORK
        self._account()
        return self.services

    def _account(self) -> None:
        # Processor time, so that a busy machine refuses nothing that an idle one would answer.
        now = thread_time()
        if self._accounted is not self.context:
            self._accounted, self._slices, self._until = self.context, MOST_WORK // _SLICE, now + MOST_SECONDS
            self._last = now
        used = 0
        if self._left < 0:
            used = 1 + -self._left // _SLICE
            self._slices -= used
            self._left += used * _SLICE
        allowance.take(used * _SLICE, now - self._last)
        self._last = now
        if self._slices < 0 or now > self._until:
            raise FhirPathError("The expression takes too much work here: it makes or compares too many items.")

    def moment(self) -> datetime:
        """The time of this evaluation: the same however often it is asked."""
        if self.now is None:
            self.now = datetime.now(UTC)
        return self.now


def weight(node: Node) -> int:
    """What comparing an item takes: by how many values stand in it, and by the length of a text."""
    value: Any = node[1]
    if type(value) is str:
        return 1 + len(value) // 500
    if type(value) is not dict:
        return 1
    count = 1
    rest: list[Any] = [value]
    while rest:
        at = rest.pop()
        count += 1
        if type(at) is dict:
            rest.extend(at.values())
        elif type(at) is list:
            rest.extend(at)
    return count


def truth(value: bool | None) -> Nodes:
    """A three-valued result as a collection."""
    return TRUE if value else EMPTY if value is None else FALSE


def boolean(nodes: Nodes) -> bool | None:
    """A collection as a condition: empty is unknown, one item that is not a boolean is true.

    https://hl7.org/fhirpath/#singleton-evaluation-of-collections
    """
    if not nodes:
        return None
    if len(nodes) > 1:
        raise FhirPathError("A collection of several items stands where one boolean is needed.")
    value = nodes[0][1]
    return value if isinstance(value, bool) else True


def single(nodes: Nodes, what: str) -> Node | None:
    """The only item, None when there is none. Raises `FhirPathError` naming `what` when there are several."""
    if not nodes:
        return None
    if len(nodes) > 1:
        raise FhirPathError(f"{what} needs one item but was given {len(nodes)}.")
    return nodes[0]


def string(nodes: Nodes, what: str) -> str | None:
    """The only item as a string, None when there is none or it has no value."""
    node = single(nodes, what)
    if node is None or node[1] is None:
        return None
    if not isinstance(node[1], str):
        raise FhirPathError(f"{what} needs a string.")
    return node[1]


def integer(nodes: Nodes, what: str) -> int | None:
    """The only item as an integer, None when there is none."""
    node = single(nodes, what)
    if node is None or node[1] is None:
        return None
    if KINDS.get(node[0]) != INTEGER:
        raise FhirPathError(f"{what} needs an integer.")
    return int(node[1])


def text(value: str) -> Nodes:
    """One System.String. Raises `FhirPathError` for one longer than an expression may make."""
    if len(value) > LONGEST_TEXT:
        raise FhirPathError("The expression makes too long a string.")
    return [(STRING, value, None)]


def number(value: int) -> Nodes:
    """One System.Integer."""
    return [(INTEGER, value, None)]
