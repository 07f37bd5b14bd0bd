"""The SMART app that comes with the server (`ui/apps/growth`), registered in the demo tenant.

Redirect URIs are compared character by character, and the port of a start is the operator's choice: so what is
registered is put right on every start.
"""

from typing import Any
from urllib.parse import quote, urlsplit

from fhir_server.security.oauth import clients, redirects
from fhir_server.security.oauth.client_metadata import check_metadata
from fhir_server.storage import oauth_clients
from fhir_server.storage.session import Session

CLIENT_ID = "croissance"
NAME = "Croissance"
_PATH = "/ui/apps/growth/"
_SCOPE = "launch launch/patient openid fhirUser online_access patient/Patient.rs patient/Observation.rs"
_HERE = ("127.0.0.1", "localhost")


def demo_apps(db: Session, tenant_id: int, base: str) -> None:
    """Register what is missing, at the origin of the FHIR base; elsewhere than at https or on this machine no app can
    be registered. The caller has entered the tenant and commits."""
    wanted = _metadata(base)
    if wanted is None:
        return
    known = clients.find(db, tenant_id, CLIENT_ID)
    if known is None:
        clients.register(db, tenant_id, wanted, client_id=CLIENT_ID)
    elif dict(known.metadata) != (held := check_metadata(wanted)):
        db.run([oauth_clients.replace_metadata(tenant_id, CLIENT_ID, held)])


def _metadata(base: str) -> dict[str, Any] | None:
    parts = urlsplit(base)
    origins = [f"{parts.scheme}://{parts.netloc}"]
    if parts.hostname in (*_HERE, "0.0.0.0"):  # a server that listens everywhere also listens here
        port = f":{parts.port}" if parts.port else ""
        origins = [f"{parts.scheme}://{name}{port}" for name in _HERE]
        base = f"{origins[0]}{parts.path}"
    if not redirects.is_web_url(f"{origins[0]}{_PATH}"):
        return None
    launch = f"{origins[0]}{_PATH}launch.html"
    return {
        "client_name": NAME,
        "token_endpoint_auth_method": "none",
        "redirect_uris": [f"{origin}{_PATH}" for origin in origins],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": _SCOPE,
        "launch_url": launch,
        "client_uri": f"{launch}?iss={quote(base, safe='')}",
    }
