"""What a profile is checked against besides the resource itself: definitions, codes, and what references point to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fhir_server.conformance.canonicals import Definitions
from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Issue


class Members(Protocol):
    """Answers what codes are in a value set; None where that cannot be told here."""

    def check(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a code is in a value set."""

    def codes(self, value_set: str, most: int = 2000) -> frozenset[tuple[str, str]] | None:
        """The (system, code) pairs of a value set that has at most so many."""

    def said(self, system: str, code: str, display: str | None) -> Sequence[Issue]:
        """What a code system has to say against a coding, at `code` or `display`."""

    def subsumes(self, system: str, a: str, b: str) -> bool | None:
        """Whether code `a` subsumes code `b`."""


@dataclass(frozen=True)
class Scope:
    """What one validation can ask. `resolve`: the resource that a reference points to (an entry of the Bundle, or a
    stored one), or None when it is not known."""

    registry: Registry
    definitions: Definitions
    membership: Members
    resolve: Callable[[str], dict[str, Any] | None] = lambda reference: None
