"""What the server tells of itself: SMART configuration, OpenID and OAuth metadata, all made of one description.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html, RFC 8414, OpenID Connect Discovery 1.0, RFC 9207.
Everything listed is served; a capability is here only when it works.
"""

from typing import Any

from fhir_server.security.oauth.client_keys import ALGORITHMS
from fhir_server.security.oauth.client_metadata import AUTH_METHODS, GRANT_TYPES
from fhir_server.security.oauth.id_tokens import ALGORITHM
from fhir_server.security.oauth.urls import Urls

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
# Examples of what can be granted; single types and granular scopes can be as well.
SCOPES = (
    "openid", "fhirUser", "launch", "launch/patient", "offline_access", "online_access", "patient/*.rs",
    "patient/*.read", "user/*.rs", "user/*.read", "system/*.rs", "system/*.cruds",
)  # fmt: skip


def oauth_metadata(urls: Urls, *, registration: bool) -> dict[str, Any]:
    """RFC 8414. `registration`: whether clients may register themselves."""
    methods, algorithms = list(AUTH_METHODS), list(ALGORITHMS)
    proving = [method for method in methods if method != "none"]
    found: dict[str, Any] = {
        "issuer": urls.issuer,
        "authorization_endpoint": urls.of("authorize"),
        "token_endpoint": urls.token,
        "jwks_uri": urls.of("jwks"),
        "introspection_endpoint": urls.of("introspect"),
        "revocation_endpoint": urls.of("revoke"),
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": ["fr", "en", "es", "ar"],
    }
    for endpoint, supported in (("token", methods), ("introspection", proving), ("revocation", methods)):
        found[f"{endpoint}_endpoint_auth_methods_supported"] = supported
        found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    if registration:
        found["registration_endpoint"] = urls.of("register")
    return found


def openid_metadata(urls: Urls, *, registration: bool) -> dict[str, Any]:
    """OpenID Connect Discovery."""
    return {
        **oauth_metadata(urls, registration=registration),
        "userinfo_endpoint": urls.of("userinfo"),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "amr", "fhirUser"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def smart_configuration(urls: Urls, *, registration: bool) -> dict[str, Any]:
    """The SMART configuration of the tenant's FHIR base."""
    return {
        **oauth_metadata(urls, registration=registration),
        "management_endpoint": urls.of("account"),
        "capabilities": list(CAPABILITIES),
    }
