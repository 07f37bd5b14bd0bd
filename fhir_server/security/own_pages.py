"""The bundled pages as a client of this server: a browser session has an access token, which ends with it.

The token follows from the session's id and the server's key, so nothing but its digest is stored, and whoever has no
cookie has no token. What it allows is what the person's role allows.
"""

import base64
import hmac

from fhir_server.security import web_sessions
from fhir_server.security.authenticate import token_digest
from fhir_server.security.oauth.grants import new_grant_id
from fhir_server.security.roles import roles
from fhir_server.settings import settings
from fhir_server.storage import access_tokens, oauth_grants
from fhir_server.storage.session import Session
from fhir_server.storage.web_sessions import WebSession

CLIENT_ID = "salam-ui"
_SCOPE = "user/*.cruds"


def token_of(session_id: str) -> str:
    """The access token of a browser session; it is worth something once `admit` was called for the session."""
    mac = hmac.digest(settings.secret_key(), b"own pages|" + session_id.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def admit(db: Session, tenant_id: int, session_id: str, session: WebSession) -> None:
    """Make the session's token good for as long as the session can last. The caller knows that the session is live;
    the transaction is committed."""
    grant_id, seconds = new_grant_id(), web_sessions.longest_seconds(session.user.role)
    grant = oauth_grants.open_grant(
        tenant_id, grant_id, client_id=CLIENT_ID, user_id=session.user.id, session_hash=session.hash, scope=_SCOPE,
        context={}, purpose=roles()[session.user.role].purposes[0], nonce=None, amr=session.amr,
        auth_time=session.auth_time,
    )  # fmt: skip
    token = access_tokens.renew(
        tenant_id, token_digest(token_of(session_id)), scope=_SCOPE, client_id=CLIENT_ID, seconds=seconds,
        grant_id=grant_id, user_id=session.user.id,
    )  # fmt: skip
    db.run([grant, token], final=True)
