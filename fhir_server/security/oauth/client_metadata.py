"""What a client's metadata may say. RFC 7591 section 2, OpenID Connect Registration, SMART App Launch 2.2

Authlib's `ClientMetadataClaims` names a bad member and no more, and knows neither SMART's rules nor redirect URIs of
native clients; so its names and errors are used and the checks stand here.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc7591 import InvalidClientMetadataError, InvalidRedirectURIError

from fhir_server.security.oauth import client_keys, redirects
from fhir_server.security.scopes import is_word, parse_scope

AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
_DEFAULT_SCOPE = "launch launch/patient openid fhirUser patient/*.rs"
_URLS = ("client_uri", "logo_uri", "tos_uri", "policy_uri", "initiate_login_uri", "launch_url")
_TEXTS = ("client_name", "software_id", "software_version")
_KNOWN = frozenset(
    (
        *_URLS, *_TEXTS, "redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "scope",
        "jwks", "jwks_uri", "contacts", "application_type",
    )
)  # fmt: skip
_MOST_URIS, _LONGEST_TEXT, _LONGEST_SCOPE = 50, 200, 20_000


def check_metadata(metadata: Mapping[str, Any], *, dynamic: bool = False) -> dict[str, Any]:
    """The metadata to keep: known members only, with the defaults filled in.

    `dynamic`: the client registers itself, so it gets nothing that only an operator may give (`system/` scopes).
    Raises `InvalidClientMetadataError` and `InvalidRedirectURIError`.
    """
    held = {name: value for name, value in metadata.items() if name in _KNOWN and value is not None}
    if "software_statement" in metadata:
        raise InvalidClientMetadataError("software_statement is not supported.")
    _check_texts(held)
    held.setdefault("token_endpoint_auth_method", "client_secret_basic")
    held.setdefault("grant_types", ["authorization_code"])
    held.setdefault("application_type", "web")
    if held["application_type"] not in ("web", "native"):
        raise InvalidClientMetadataError("application_type is web or native.")
    _check_grants(held, dynamic)
    _check_redirects(held)
    _check_keys(held)
    _check_scope(held, dynamic)
    return held


def _check_texts(held: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        value = held.get(name, "")
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not (value.isprintable()):
            raise InvalidClientMetadataError(f"{name} is a text of at most {_LONGEST_TEXT} printable characters.")
    for name in _URLS:
        if name in held and not redirects.is_web_url(held[name]):
            raise InvalidClientMetadataError(f"{name} is an https URL (http on the machine itself).")
    contacts = held.get("contacts", [])
    if not _are_texts(contacts) or len(contacts) > _MOST_URIS or any(len(each) > _LONGEST_TEXT for each in contacts):
        raise InvalidClientMetadataError("contacts is a list of texts.")


def _check_grants(held: dict[str, Any], dynamic: bool) -> None:
    method, grants = held["token_endpoint_auth_method"], held["grant_types"]
    if method not in AUTH_METHODS:
        raise InvalidClientMetadataError(f"token_endpoint_auth_method is one of {', '.join(AUTH_METHODS)}.")
    if not _are_texts(grants) or not grants or not set(grants) <= set(GRANT_TYPES):
        raise InvalidClientMetadataError(f"grant_types is a list of {', '.join(GRANT_TYPES)}.")
    held["grant_types"] = [name for name in GRANT_TYPES if name in grants]
    if "client_credentials" in grants:
        if dynamic:
            raise InvalidClientMetadataError("A client for client_credentials is registered by an operator.")
        if method != "private_key_jwt":
            raise InvalidClientMetadataError("client_credentials needs token_endpoint_auth_method private_key_jwt.")
    if "refresh_token" in grants and "authorization_code" not in grants:
        raise InvalidClientMetadataError("refresh_token goes with authorization_code.")
    wanted = ["code"] if "authorization_code" in grants else []
    if held.setdefault("response_types", wanted) != wanted:
        raise InvalidClientMetadataError("response_types is code for authorization_code, and empty without it.")


def _check_redirects(held: Mapping[str, Any]) -> None:
    uris = held.get("redirect_uris", [])
    needed = "authorization_code" in held["grant_types"]
    if not _are_texts(uris) or len(uris) > _MOST_URIS or (needed and not uris):
        raise InvalidRedirectURIError(f"redirect_uris is a list of 1 to {_MOST_URIS} URIs.")
    for uri in uris:
        why = redirects.fault(uri, native=held["application_type"] == "native")
        if why is not None:
            raise InvalidRedirectURIError(f"A redirect URI {why}.")


def _check_keys(held: Mapping[str, Any]) -> None:
    given = [name for name in ("jwks", "jwks_uri") if name in held]
    if held["token_endpoint_auth_method"] != "private_key_jwt":
        if given:
            raise InvalidClientMetadataError("jwks and jwks_uri go with private_key_jwt.")
        return
    if len(given) != 1:
        raise InvalidClientMetadataError("private_key_jwt needs either jwks or jwks_uri.")
    if "jwks" in held:
        try:
            client_keys.check_registered(held["jwks"])
        except ValueError as error:
            raise InvalidClientMetadataError(str(error)) from None
    elif not client_keys.may_be_fetched(held["jwks_uri"]):
        raise InvalidClientMetadataError("jwks_uri is an https URL.")


def _check_scope(held: dict[str, Any], dynamic: bool) -> None:
    backend, people = (name in held["grant_types"] for name in ("client_credentials", "authorization_code"))
    scope = held.get("scope", _DEFAULT_SCOPE if people else "")
    if not isinstance(scope, str) or len(scope) > _LONGEST_SCOPE or not scope.split():
        raise InvalidClientMetadataError("scope is a text of SMART scopes with spaces between.")
    for each in scope.split():
        right = parse_scope(each)
        if right is None and not is_word(each):
            raise InvalidClientMetadataError("scope holds something that is no SMART scope.")
        if (right is not None and right.context == "system") != backend and not (backend and people):
            raise InvalidClientMetadataError(
                "system/ scopes are for client_credentials, all others for authorization_code."
            )
    held["scope"] = " ".join(dict.fromkeys(scope.split()))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
