"""Statements on the apps that a user let in, as their account page lists them."""

from dataclasses import dataclass

import msgspec

from fhir_server.storage.session import Session


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """One app with every live grant of the user to it. Times are seconds since 1970."""

    client_id: str
    name: str
    scopes: tuple[str, ...]
    granted: int
    last_used: int
    grants: tuple[str, ...]


# A grant counts while something issued from it still works.
_APPS = (
    "SELECT g.client_id, coalesce(c.metadata ->> 'client_name', g.client_id), to_json(array_agg(g.scope)),"
    " extract(epoch FROM min(g.created_at))::bigint, extract(epoch FROM max(g.last_used_at))::bigint,"
    " to_json(array_agg(g.grant_id)) FROM oauth_grant g"
    " LEFT JOIN oauth_client c ON c.tenant_id = $1 AND c.client_id = g.client_id"
    " WHERE g.tenant_id = $1 AND g.user_id = $2 AND g.revoked_at IS NULL AND g.client_id <> 'salam-ui' AND"
    " (EXISTS (SELECT 1 FROM access_token a WHERE a.tenant_id = $1 AND a.grant_id = g.grant_id"
    " AND a.revoked_at IS NULL AND a.expires_at > now())"
    " OR EXISTS (SELECT 1 FROM refresh_token r WHERE r.tenant_id = $1 AND r.grant_id = g.grant_id"
    " AND r.used_at IS NULL AND r.expires_at > now()))"
    " GROUP BY g.client_id, c.metadata ->> 'client_name' ORDER BY max(g.last_used_at) DESC"
)


def of_user(db: Session, tenant_id: int, user_id: str) -> list[ConnectedApp]:
    """The apps that can act for the user now, the last used first."""
    found = []
    for row in db.run([(_APPS, (tenant_id, user_id))])[0]:
        client, name, scopes, granted, used, grants = ((value or b"").decode() for value in row)
        words = dict.fromkeys(word for scope in msgspec.json.decode(scopes) for word in scope.split())
        found.append(
            ConnectedApp(client, name, tuple(words), int(granted), int(used), tuple(msgspec.json.decode(grants)))
        )
    return found
