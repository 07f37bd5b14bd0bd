"""SMART App Launch 2.2 scopes, parsed once into the one form that is enforced.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
v1 `read`, `write` and `*` are read as `rs`, `cud` and `cruds`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.core.errors import Invalid

_SCOPE = re.compile(r"(?P<context>system|user)/(?P<type>\*|[A-Z][A-Za-z]+)\.(?P<letters>[a-z*]+)\Z")
_LEGACY = {"read": "rs", "write": "cud", "*": "cruds"}
_LETTERS = re.compile(r"c?r?u?d?s?\Z")
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a token allows: the letters c, r, u, d, s per resource type; "*" stands for every type."""

    text: str
    letters: tuple[tuple[str, str], ...]
    operator: bool = False

    def allows(self, resource_type: str, letter: str) -> bool:
        """Whether one interaction letter is granted on a type."""
        return any(letter in granted and name in ("*", resource_type) for name, granted in self.letters)

    def types(self, letter: str) -> frozenset[str] | None:
        """The types on which a letter is granted; None means all."""
        names = {name for name, granted in self.letters if letter in granted}
        return None if "*" in names else frozenset(names)


@lru_cache(maxsize=4096)
def parse_scopes(text: str) -> Scopes:
    """Parse a space-separated scope string. Raises `Invalid` for a scope that this server cannot enforce."""
    letters: list[tuple[str, str]] = []
    operator = False
    for scope in text.split():
        if scope == OPERATOR:
            operator = True
            continue
        match = _SCOPE.match(scope)
        granted = _LEGACY.get(match["letters"], match["letters"]) if match else ""
        if match is None or not granted or not _LETTERS.match(granted):
            raise Invalid(
                f"The scope {scope!r} cannot be enforced. Use system/Type.cruds or user/Type.cruds with letters in the"
                " order c, r, u, d, s.",
                expression="http.scope",
                code="value",
            )
        letters.append((match["type"], granted))
    if not letters and not operator:
        raise Invalid("A token needs at least one scope, for example system/*.rs.", expression="http.scope")
    return Scopes(text, tuple(letters), operator)
