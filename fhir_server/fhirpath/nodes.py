"""The items of a FHIRPath collection, and the environment that an evaluation runs in.

A node is `(type, value, sibling)`. type: FHIR type name (`CodeableConcept`, `code`, `Observation.component`) or
`System.String` and its kin for literals and computed values. value: the JSON value; None for a primitive that has only
extensions. sibling: the `_name` object of a primitive, or None.
https://hl7.org/fhir/R4/fhirpath.html
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from fhir_server.fhirpath.errors import FhirPathError

Node = tuple[str, Any, dict[str, Any] | None]
Nodes = list[Node]

BOOLEAN, STRING, INTEGER, DECIMAL = "System.Boolean", "System.String", "System.Integer", "System.Decimal"
DATE, DATETIME, TIME, QUANTITY = "System.Date", "System.DateTime", "System.Time", "System.Quantity"

# Shared results. Nobody changes a collection that was returned to him.
EMPTY: Nodes = []
TRUE: Nodes = [(BOOLEAN, True, None)]
FALSE: Nodes = [(BOOLEAN, False, None)]

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


# Clients write expressions (patches, search parameters): one must not fill the memory or run for minutes.
MOST_NODES = 2_000_000
LONGEST_TEXT = 1_000_000


class Env:
    """What an evaluation can reach besides its focus.

    resource: `%resource`. root: `%rootResource`, which differs inside a contained resource. context: `%context`.
    variables: further `%name`. index, total: `$index`, `$total` of the innermost loop. trace: receives (name, nodes).
    """

    __slots__ = ("_left", "context", "index", "now", "resource", "root", "total", "trace", "variables")

    def __init__(
        self,
        resource: Node,
        root: Node | None = None,
        variables: Mapping[str, Nodes] | None = None,
        now: datetime | None = None,
        context: Nodes | None = None,
        trace: Callable[[str, Nodes], None] | None = None,
    ) -> None:
        self.resource = resource
        self.root = root or resource
        self.context = [resource] if context is None else context
        self.variables: Mapping[str, Nodes] = variables or {}
        self.now = now
        self.index = 0
        self.total: Nodes = EMPTY
        self.trace = trace
        self._left = MOST_NODES

    def spend(self, nodes: Nodes) -> Nodes:
        """Count the items that an expression makes from others. Raises `FhirPathError` when they grow out of hand."""
        self._left -= len(nodes)
        if self._left < 0:
            raise FhirPathError("The expression makes too many items.")
        return nodes

    def moment(self) -> datetime:
        """The time of this evaluation: the same however often it is asked."""
        if self.now is None:
            self.now = datetime.now(UTC)
        return self.now


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
