"""$apps (profiles/operations/apps.json): which SMART apps and other clients are registered here."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Forbidden
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy
from fhir_server.security.consent_node import role_may
from fhir_server.security.oauth import clients
from fhir_server.security.oauth.clients import Client
from fhir_server.storage import connected_apps

# Registering an app is no right to resources: the token must reach as far as the role does here, so that an app that
# was let read a diary registers nothing.
_TYPE = "Endpoint"


def apps(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with an `app` for each. Whoever may see Endpoints as a whole and change them sees how each is
    registered, disabled ones too; everybody else the active ones that people use."""
    who = ctx.principal
    if who.user is None and not who.scopes.operator:
        raise Forbidden("Only users, and the operator, may see which apps there are.")
    with ctx.db.hold():
        found = clients.find_all(ctx.db, ctx.tenant.id)
        mine = connected_apps.of_user(ctx.db, ctx.tenant.id, who.user.id) if who.user else []
    connected = {each.client_id: each.granted for each in mine}
    full = may_look(ctx)
    shown = [each for each in found if full or (each.active and "authorization_code" in each.grant_types)]
    return {
        "resourceType": "Parameters",
        "parameter": [told(each, connected.get(each.client_id), full=full) for each in shown],
    }


def may_look(ctx: Context) -> bool:
    """Whether the caller may see how apps are registered."""
    return ctx.principal.scopes.operator or (ctx.principal.user is not None and policy.whole(ctx, _TYPE, "u"))


def check_may_change(ctx: Context) -> None:
    """Raise `Forbidden` unless the caller may register apps and disable them."""
    who = ctx.principal
    if who.scopes.operator and who.user is None:
        return
    if not role_may(who, "clients") or not policy.whole(ctx, _TYPE, "u"):
        raise Forbidden(
            f"Only users whose role has the right clients may change which apps there are, with a token for"
            f" user/{_TYPE}.u."
        )


def told(client: Client, connected: int | None = None, *, full: bool) -> dict[str, Any]:
    """An app as a parameter. `connected`: since when it acts for the caller (seconds since 1970)."""
    words = client.scope.split()
    from_record = client.active and bool(client.launch_uri) and "launch" in words
    parts: list[dict[str, Any]] = [
        {"name": "client-id", "valueString": client.client_id},
        {"name": "name", "valueString": client.name},
        {"name": "status", "valueCode": client.status},
        {"name": "kind", "valueCode": _kind(client)},
        {"name": "opens-from-record", "valueBoolean": from_record and "authorization_code" in client.grant_types},
        {"name": "asks-for-patient", "valueBoolean": "launch/patient" in words},
        {"name": "scope", "valueString": client.scope},
    ]
    if website := client.metadata.get("client_uri"):
        parts.append({"name": "website", "valueUri": website})
    if connected is not None:
        parts.append({"name": "connected", "valueInstant": format_instant(connected * 1_000_000)})
    if full:
        parts.append({"name": "registered", "valueInstant": format_instant(client.created * 1_000_000)})
        parts += [{"name": "redirect-uri", "valueUri": uri} for uri in client.redirect_uris]
        parts += [{"name": "contact", "valueString": text} for text in client.contacts]
        if client.launch_uri:
            parts.append({"name": "launch-url", "valueUri": client.launch_uri})
    return {"name": "app", "part": parts}


def _kind(client: Client) -> str:
    if "authorization_code" not in client.grant_types:
        return "service"
    return "public" if client.public else "confidential"
