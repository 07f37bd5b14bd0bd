"""SMART App Launch 2.2 scopes, parsed once into the one form that is enforced.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
v1 `read`, `write` and `*` are read as `rs`, `cud` and `cruds`. A granular scope (`patient/Observation.rs?category=…`)
holds search parameters that a visible resource must meet, all of them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from fhir_server.core.errors import Invalid

_SCOPE = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]+)\.(?P<letters>[a-z]+|\*)(?:\?(?P<query>.+))?\Z"
)
_LEGACY = {"read": "rs", "write": "cud", "*": "cruds"}
_LETTERS = re.compile(r"c?r?u?d?s?\Z")
# Scopes that are no right to resources. `launch/encounter` and its like name context that a client wants.
_WORD = re.compile(r"(openid|fhirUser|profile|launch|launch/[a-z]+(\?role=[^\s&]+)?|offline_access|online_access)\Z")
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Scope:
    """A right to resources. `letters`: of c, r, u, d, s; `query`: what a resource must meet (granular scopes)."""

    context: str
    type: str
    letters: str
    query: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """The scope in v2 form."""
        query = "&".join(f"{quote(name)}={quote(value, safe='/:|,')}" for name, value in self.query)
        return f"{self.context}/{self.type}.{self.letters}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a token allows: rights to resources, and `words` such as `openid` and `launch/patient`."""

    text: str
    rights: tuple[Scope, ...]
    words: frozenset[str] = frozenset()

    @property
    def operator(self) -> bool:
        """Whether the platform's operator asks."""
        return OPERATOR in self.words

    def allows(self, resource_type: str, letter: str) -> bool:
        """Whether an interaction letter is granted on a type, on some of its resources at least."""
        return any(letter in right.letters and right.type in ("*", resource_type) for right in self.rights)

    def types(self, letter: str) -> frozenset[str] | None:
        """The types on which a letter is granted; None means all."""
        names = {right.type for right in self.rights if letter in right.letters}
        return None if "*" in names else frozenset(names)


@lru_cache(maxsize=8192)
def parse_scope(text: str) -> Scope | None:
    """A single right to resources; None for what is none, also for letters out of order."""
    match = _SCOPE.match(text)
    if match is None:
        return None
    letters = _LEGACY.get(match["letters"], match["letters"])
    if not letters or not _LETTERS.match(letters):
        return None
    query = tuple(parse_qsl(match["query"], keep_blank_values=True)) if match["query"] else ()
    if match["query"] and (not query or match["type"] == "*" or match["letters"] in _LEGACY):
        return None
    return Scope(match["context"], match["type"], letters, query)


def is_word(text: str) -> bool:
    """Whether it is a scope of SMART or OpenID that is no right to resources."""
    return _WORD.match(text) is not None


@lru_cache(maxsize=4096)
def parse_scopes(text: str) -> Scopes:
    """Parse a space-separated scope string. Raises `Invalid` for a scope that this server cannot enforce."""
    rights: list[Scope] = []
    words: set[str] = set()
    for each in text.split():
        right = parse_scope(each)
        if right is not None:
            rights.append(right)
        elif each == OPERATOR or is_word(each):
            words.add(each)
        else:
            raise Invalid(
                f"The scope {each!r} cannot be enforced. Use system/Type.cruds, user/Type.cruds or patient/Type.cruds"
                " with letters in the order c, r, u, d, s.",
                expression="http.scope",
                code="value",
            )
    if not rights and not words:
        raise Invalid("A token needs at least one scope, for example system/*.rs.", expression="http.scope")
    return Scopes(text, tuple(rights), frozenset(words))


def narrowed(asked: Sequence[Scope], allowed: Iterable[Scope], *, any_context: bool = False) -> list[Scope]:
    """The most that `asked` and `allowed` both give. `any_context`: `allowed` holds for every context.

    The result may have more scopes than were asked for: `patient/*.rs` under two allowed types is two scopes.
    """
    found: dict[Scope, None] = {}
    allowed = list(allowed)
    for want in asked:
        shares = [share for limit in allowed if (share := _shared(want, limit, any_context)) is not None]
        whole = [share for share in shares if share == want]
        for share in whole[:1] or shares:
            found[share] = None
    return list(found)


def _shared(want: Scope, limit: Scope, any_context: bool) -> Scope | None:
    if want.context != limit.context and not any_context:
        return None
    if "*" not in (want.type, limit.type) and want.type != limit.type:
        return None
    letters = "".join(letter for letter in want.letters if letter in limit.letters)
    if not letters:
        return None
    name = limit.type if want.type == "*" else want.type
    return Scope(want.context, name, letters, tuple(dict.fromkeys((*want.query, *limit.query))))
