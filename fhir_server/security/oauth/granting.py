"""Which scopes may be granted: pure functions over scope texts, for the token endpoint and the consent page alike.

A grant is the least of what was asked, what the client is registered for, and what the user's role may. Texts stay as
they were asked where the whole is granted; what was asked in the form of SMART v1 is answered in it. Scopes that cannot
be enforced exactly are left out, never replaced by wider ones.
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from collections.abc import Iterable, Sequence

from authlib.oauth2.rfc6749.errors import InvalidScopeError

from fhir_server.conformance.registry import Registry
from fhir_server.security.access import enforceable
from fhir_server.security.oauth.clients import Client
from fhir_server.security.roles import Role
from fhir_server.security.scopes import Scope, is_word, narrowed, parse_scope

_V1 = (("read", "rs"), ("write", "cud"))
_REFRESHING = ("offline_access", "online_access")


def for_user(asked: str, client: Client, role: Role, registry: Registry) -> tuple[str, ...]:
    """The scopes that a user of this role may let the client have, of those asked, in their order.

    Unknown scopes and `system/` are left out. A wildcard may come back as several scopes, for the types that are
    allowed. Whether `patient/` scopes have a patient is for the caller to see (`needs_patient`).
    """
    registered = client.scope.split()
    words = {each.partition("?")[0] for each in registered if is_word(each)}
    limits = [right for right in map(parse_scope, registered) if right is not None]
    found: dict[str, None] = {}
    for text in asked.split():
        right = parse_scope(text)
        if right is None:
            if is_word(text) and text.partition("?")[0] in words and _has_use(text, client):
                found[text] = None
        elif right.context != "system":
            shares = narrowed(narrowed([right], limits), role.rights, any_context=True)
            found.update(dict.fromkeys(_texts(text, right, shares, registry)))
    return tuple(found)


def for_backend(asked: str, client: Client, registry: Registry) -> str:
    """The scopes that a back-end system gets of those it asks. Raises `InvalidScopeError` when there are none."""
    limits = [right for right in map(parse_scope, client.scope.split()) if right is not None]
    found: dict[str, None] = {}
    for text in asked.split():
        right = parse_scope(text)
        if right is not None and right.context == "system":
            found.update(dict.fromkeys(_texts(text, right, narrowed([right], limits), registry)))
    if not found:
        raise InvalidScopeError("None of the scopes asked for may be granted to this client.")
    return " ".join(found)


def part(asked: str, granted: str) -> str:
    """The scopes asked for, all of which must lie in those granted (refreshing, a choice on the consent page).

    Raises `InvalidScopeError` for one that does not.
    """
    texts = granted.split()
    limits = [right for right in map(parse_scope, texts) if right is not None]
    for text in asked.split():
        right = parse_scope(text)
        if not (text in texts or (right is not None and right in narrowed([right], limits))):
            raise InvalidScopeError("A scope was asked for that was not granted.")
    if not asked.split():
        raise InvalidScopeError("At least one scope is needed.")
    return " ".join(dict.fromkeys(asked.split()))


def needs_patient(scopes: Iterable[str]) -> bool:
    """Whether there are `patient/` scopes, which mean nothing without a patient in the launch context."""
    rights = [parse_scope(each) for each in scopes]
    return any(right is not None and right.context == "patient" for right in rights)


def refreshes(scope: str, client: Client) -> bool:
    """Whether a grant of this scope comes with a refresh token."""
    return "refresh_token" in client.grant_types and any(each in _REFRESHING for each in scope.split())


def _has_use(word: str, client: Client) -> bool:
    return word not in _REFRESHING or "refresh_token" in client.grant_types


def _texts(asked: str, right: Scope, shares: Sequence[Scope], registry: Registry) -> list[str]:
    found: list[str] = []
    for share in _joined(shares):
        if (share.type != "*" and share.type not in registry.type_ids) or not enforceable(registry, share):
            continue
        if share == right:
            found.append(asked)
        elif _is_v1(asked) and not share.query:
            found.extend(_in_v1(share))
        else:
            found.append(str(share))
    return found


def _joined(shares: Sequence[Scope]) -> list[Scope]:
    """The same rights with the letters of each type in one scope."""
    found: dict[tuple[str, str, tuple[tuple[str, str], ...]], str] = {}
    for share in shares:
        place = (share.context, share.type, share.query)
        letters = found.get(place, "") + share.letters
        found[place] = "".join(letter for letter in "cruds" if letter in letters)
    return [Scope(context, name, letters, query) for (context, name, query), letters in found.items()]


def _is_v1(text: str) -> bool:
    return text.endswith((".read", ".write", ".*"))


def _in_v1(share: Scope) -> list[str]:
    """The scope in words of v1, and what is left over of it in letters."""
    head = f"{share.context}/{share.type}"
    if share.letters == "cruds":
        return [f"{head}.*"]
    left, found = share.letters, []
    for word, letters in _V1:
        if all(letter in left for letter in letters):
            found.append(f"{head}.{word}")
            left = "".join(letter for letter in left if letter not in letters)
    return [*found, f"{head}.{left}"] if left else found
