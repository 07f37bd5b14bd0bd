"""$register-app and $change-app (profiles/operations/): what whoever has the right `clients` does with apps.

Apps that are registered like this act for users, never by themselves: `system/` scopes and `client_credentials` see
past what a role is kept from, so those clients are the operator's (`fhir-server client create`).
"""

from typing import Any

from authlib.oauth2.rfc6749.errors import OAuth2Error

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, NotFound
from fhir_server.operations import apps
from fhir_server.operations.call import OperationCall
from fhir_server.security import audit
from fhir_server.security.oauth import clients, grants
from fhir_server.security.oauth.client_metadata import check_metadata
from fhir_server.security.oauth.clients import Client
from fhir_server.storage import oauth_clients

_METHODS = {"public": "none", "confidential": "client_secret_basic"}
_STATUSES = ("active", "disabled")
# How what RFC 7591 calls a member begins in its error, and which parameter it came from.
_PARAMETERS = {
    "redirect_uris": "redirect-uri", "A redirect URI": "redirect-uri", "launch_url": "launch-url",
    "client_uri": "website", "client_name": "name", "contacts": "contact", "scope": "scope", "system/": "scope",
    "client_id": "client-id", "There is already": "client-id",
}  # fmt: skip


def register(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Register an app; Parameters with the `app` and, once, its `client-secret` if it can keep one."""
    apps.check_may_change(ctx)
    given = call.parameters
    kind = given.get("kind", "public")
    if kind not in _METHODS:
        raise Invalid("kind takes public or confidential.", expression="http.kind", code="value")
    scope = given["scope"]
    refresh = {"offline_access", "online_access"} & set(scope.split())
    members = {
        "client_name": given["name"].strip(),
        "token_endpoint_auth_method": _METHODS[kind],
        "redirect_uris": given.get("redirect-uri", []),
        "grant_types": ["authorization_code", *(["refresh_token"] if refresh else [])],
        "scope": scope,
        "launch_url": given.get("launch-url"),
        "client_uri": given.get("website"),
        "contacts": given.get("contact"),
    }
    if not members["client_name"]:
        raise Invalid("name is what people call the app.", expression="http.name", code="required")
    try:
        metadata = check_metadata(members, dynamic=True)
        made, secret = clients.register(ctx.db, ctx.tenant.id, metadata, client_id=given.get("client-id"))
    except OAuth2Error as error:
        raise _invalid(str(error.description)) from None
    _note(ctx, "client-registered", made, {})
    shown = [apps.told(made, full=True)]
    if secret is not None:
        shown.append({"name": "client-secret", "valueString": secret})
    return {"resourceType": "Parameters", "parameter": shown}


def change(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Refuse an app from now on and end all that it was let do, or let it in again. Parameters with the `app`."""
    apps.check_may_change(ctx)
    status = call.parameters["status"]
    if status not in _STATUSES:
        raise Invalid("status takes active or disabled.", expression="http.status", code="value")
    client_id = call.parameters["client-id"]
    found = clients.find(ctx.db, ctx.tenant.id, client_id)
    if found is None:
        raise NotFound("There is no such app.", expression="http.client-id")
    if found.status != status:
        ctx.db.run([oauth_clients.set_status(ctx.tenant.id, client_id, status)])
        if status == "disabled":
            grants.end_client_grants(ctx.db, ctx.tenant.id, client_id)
        _note(ctx, "client-changed", found, {"status": status})
        found = clients.find(ctx.db, ctx.tenant.id, client_id) or found
    return {"resourceType": "Parameters", "parameter": [apps.told(found, full=True)]}


def _invalid(description: str) -> Invalid:
    where = next((name for start, name in _PARAMETERS.items() if description.startswith(start)), None)
    code = "duplicate" if description.startswith("There is already") else "value"
    return Invalid(description, expression=f"http.{where}" if where else None, code=code)


def _note(ctx: Context, event: str, client: Client, detail: dict[str, str]) -> None:
    who = ctx.principal
    ctx.db.run([
        audit.note(
            ctx.db, ctx.tenant.id, event, agent=audit.agent_of(who), client_id=who.client_id, purpose=who.purpose,
            detail={"client": client.client_id, **detail},
        )
    ])  # fmt: skip
