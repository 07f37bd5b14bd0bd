"""Judges an authorization request before anybody is asked anything. No I/O.

RFC 6749 section 4.1.1, RFC 7636, RFC 9700, OpenID Connect Core 3.1.2.1,
https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
Who cannot be trusted with a redirect (unknown client, foreign redirect URI) gets a page of ours: `Distrusted`.
All other faults go back to the app: `Refused`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from fhir_server.security.scopes import is_word, parse_scope

Params = Sequence[tuple[str, str]]

# Of these none may come twice, whoever else understands others.
_ONCE = frozenset(
    "response_type client_id redirect_uri scope state aud launch code_challenge code_challenge_method nonce prompt"
    " max_age response_mode request request_uri registration login_hint ui_locales".split()
)
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,512}\Z")
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")
_SCOPE_TEXT = re.compile(r"[\x20-\x7e]+\Z")
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_LONGEST_STATE = 4096
_NOT_SUPPORTED = ("request", "request_uri", "registration")


class Distrusted(Exception):
    """The request must not be answered by a redirect. `reason`: client, redirect, state or repeated."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refused(Exception):
    """The app is told by a redirect. `error` is of RFC 6749 4.1.2.1 or OpenID Connect 3.1.2.6; `description` names no
    value of the request."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the answer goes: a redirect URI that is the client's, and the app's `state` to the byte."""

    redirect_uri: str
    state: str | None

    def location(self, issuer: str, answer: Params) -> str:
        """The redirect URI with an answer, the state and `iss` (RFC 9207) added to its query."""
        parts = [*answer, *([("state", self.state)] if self.state is not None else []), ("iss", issuer)]
        query = "&".join(f"{name}={quote(value, safe='', errors='surrogateescape')}" for name, value in parts)
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"

    @property
    def place(self) -> str:
        """Where it leads, for people: an origin, or an app's own scheme."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be put to the user. `scope` holds the known scopes only, in the order asked."""

    client_id: str
    destination: Destination
    scope: str
    challenge: str
    nonce: str | None = None
    launch: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    ui_locales: str = ""

    @property
    def words(self) -> frozenset[str]:
        """The scopes that are no rights to resources."""
        return frozenset(each for each in self.scope.split() if is_word(each))


def single(params: Params, name: str) -> str | None:
    """The value of a parameter; None when it is absent or empty (RFC 6749 3.1). Of repeated ones the first."""
    return next((value for key, value in params if key == name and value), None)


def client_id(params: Params) -> str:
    """The client that a request names. Raises `Distrusted` when it names none, or several."""
    given = [value for name, value in params if name == "client_id"]
    if len(given) > 1:
        raise Distrusted("repeated")
    if not given or not _PRINTABLE.match(given[0]):
        raise Distrusted("client")
    return given[0]


def destination(params: Params, accepts: Callable[[str], bool]) -> Destination:
    """Where the client wants the answer. Raises `Distrusted` unless `accepts` says that the URI is the client's."""
    given = [value for name, value in params if name == "redirect_uri"]
    if len(given) > 1:
        raise Distrusted("repeated")
    if not given or not accepts(given[0]):
        raise Distrusted("redirect")
    state = single(params, "state")
    if state is not None and len(state.encode("utf-8", "surrogateescape")) > _LONGEST_STATE:
        # It cannot be sent back whole, and not at all in part.
        raise Distrusted("state")
    return Destination(given[0], state)


def check(params: Params, client: str, where: Destination, fhir_base: str) -> Asked:
    """The request as it will be put to the user. Raises `Refused`."""
    _check_form(params)
    _check_kind(params)
    _check_challenge(params)
    if single(params, "aud") not in (fhir_base, f"{fhir_base}/"):
        raise Refused("invalid_request", f"aud must be the FHIR base URL of this server: {fhir_base}")
    scope = known_scopes(single(params, "scope") or "")
    launch = single(params, "launch")
    _check_launch(launch, scope)
    return Asked(
        client,
        where,
        scope,
        single(params, "code_challenge") or "",
        _printable(params, "nonce"),
        launch,
        _prompt(params),
        _max_age(params),
        (single(params, "ui_locales") or "")[:100],
    )


def known_scopes(text: str) -> str:
    """The scopes that this server understands, each once. Raises `Refused` (invalid_scope) when there are none."""
    if not text or not _SCOPE_TEXT.match(text):
        raise Refused("invalid_scope", "scope must name at least one scope, in ASCII.")
    known = dict.fromkeys(each for each in text.split() if is_word(each) or parse_scope(each) is not None)
    if not known:
        raise Refused("invalid_scope", "None of the scopes is known to this server.")
    return " ".join(known)


def _check_form(params: Params) -> None:
    names = [name for name, _ in params if name in _ONCE]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            raise Refused("invalid_request", f"The parameter {name} may come once only.")
    for name in _NOT_SUPPORTED:
        if single(params, name) is not None:
            raise Refused(f"{name}_not_supported", f"The parameter {name} is not supported.")


def _check_kind(params: Params) -> None:
    kind = single(params, "response_type")
    if kind is None:
        raise Refused("invalid_request", "response_type is missing; it must be code.")
    if kind != "code":
        raise Refused("unsupported_response_type", "response_type must be code.")
    if single(params, "response_mode") not in (None, "query"):
        raise Refused("invalid_request", "response_mode must be query.")


def _check_challenge(params: Params) -> None:
    if single(params, "code_challenge") is None:
        raise Refused("invalid_request", "code_challenge is missing; PKCE is required of every client.")
    if single(params, "code_challenge_method") != "S256":
        raise Refused("invalid_request", "code_challenge_method must be S256.")
    if not _CHALLENGE.match(single(params, "code_challenge") or ""):
        raise Refused("invalid_request", "code_challenge must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~")


def _check_launch(launch: str | None, scope: str) -> None:
    asked = "launch" in scope.split()
    if launch is not None and not asked:
        raise Refused("invalid_request", "The parameter launch needs the scope launch.")
    if asked and launch is None:
        raise Refused("invalid_request", "The scope launch needs the parameter launch. Else ask for launch/patient.")
    if launch is not None and not _PRINTABLE.match(launch):
        raise Refused("invalid_request", "The parameter launch is not one that this server gave.")


def _prompt(params: Params) -> frozenset[str]:
    values = frozenset((single(params, "prompt") or "").split())
    if not values <= _PROMPTS or ("none" in values and len(values) > 1):
        raise Refused("invalid_request", "prompt must be none, or of login, consent and select_account.")
    return values


def _max_age(params: Params) -> int | None:
    text = single(params, "max_age")
    if text is None:
        return None
    if not re.match(r"[0-9]{1,9}\Z", text):
        raise Refused("invalid_request", "max_age must be a number of seconds.")
    return int(text)


def _printable(params: Params, name: str) -> str | None:
    value = single(params, name)
    if value is not None and not _PRINTABLE.match(value):
        raise Refused("invalid_request", f"{name} must be at most 512 printable ASCII characters.")
    return value
