"""What a parameter's compiler is given: the parameter as it was asked for, and who asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.errors import Forbidden, Invalid, NotSupported
from fhir_server.search.concepts import Concepts
from fhir_server.search.tree import Node
from fhir_server.storage.writer import Rule

# Types whose resources stand in no index, because they are made when they are read (interactions/audit_log.py).
UNSTORED = frozenset({"AuditEvent"})


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom a search runs. `readable`: the types of which rows may be seen, None for all; `limits`: the conditions
    on a visible row of a type; `limits_of`: those on rows of several types, with which a search can begin; `rule`: the
    condition on a row of these types that is in hand (None: no condition); `concepts`: what terminologies say (None:
    they are not asked)."""

    registry: Registry
    base: str
    zone: tzinfo
    now_us: int
    readable: frozenset[str] | None
    limits: Callable[[str], Sequence[Node]]
    limits_of: Callable[[Sequence[str]], Sequence[Node]]
    rule: Callable[[Sequence[str]], Rule | None]
    concepts: Concepts | None = None

    def sees(self, resource_type: str) -> bool:
        """Whether rows of the type may be seen at all."""
        return self.readable is None or resource_type in self.readable

    def must_see(self, resource_type: str, name: str) -> None:
        """Raise `Forbidden` when a parameter asks about rows of a type that may not be searched: an empty answer would
        look like one that was looked for."""
        if resource_type in UNSTORED:
            raise NotSupported(
                f"{name} asks about {resource_type}, which can only be searched by itself.", expression=f"http.{name}"
            )
        if not self.sees(resource_type):
            raise Forbidden(
                f"{name} asks about {resource_type}, which the token's scopes do not allow to search.",
                expression=f"http.{name}",
            )


# From the OR-ed values of one parameter, still escaped, to the condition.
Term = Callable[[Sequence[str], Asker], Node]


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter of a type with its modifier, under the name that the client wrote."""

    registry: Registry
    param: SearchParam
    modifier: str
    name: str

    @property
    def resource_type(self) -> str:
        """The type that is searched."""
        return self.param.resource_type

    def bad_value(self, expected: str) -> Invalid:
        """400: the value does not have the form that the parameter takes."""
        return Invalid(f"{self.name} takes {expected}.", expression=f"http.{self.name}", code="value")

    def bad_modifier(self, known: Sequence[str]) -> "UnsupportedParameter":
        """400: the modifier does not apply to this parameter."""
        usable = ", ".join(f":{m}" for m in known) or "none"
        return UnsupportedParameter(
            f"The modifier :{self.modifier} cannot be used with {self.param.code} of {self.resource_type}"
            f" (a {self.param.type} parameter; usable: {usable}). Prefer: handling=lenient ignores it.",
            expression=f"http.{self.name}",
        )


class UnsupportedParameter(NotSupported):
    """400: a parameter or modifier that this server does not know; ignored under `Prefer: handling=lenient`."""
