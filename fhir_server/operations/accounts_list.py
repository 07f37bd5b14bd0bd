"""$accounts (profiles/operations/accounts.json): who has an account here."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.operations import accounts_rights
from fhir_server.operations.call import OperationCall
from fhir_server.security.accounts import clean_name
from fhir_server.security.roles import roles
from fhir_server.storage import account_lists
from fhir_server.storage.account_lists import Listed

_USUAL, _MOST = 50, 200


def accounts(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with an `account` for each, by address, and `next` where there are more: the id to give as `after`.
    Without `role` the accounts of staff; those of patients when their roles are asked for."""
    reach = accounts_rights.managed(ctx)
    asked = call.parameters.get("role", [])
    for role in asked:
        if role not in roles():
            raise Invalid(f"There is no role {role!r}.", expression="http.role", code="value")
    count = call.parameters.get("_count", _USUAL)
    if count < 1:
        raise Invalid("_count takes a whole number from 1.", expression="http._count", code="value")
    count = min(count, _MOST)
    wanted = asked or [name for name, role in roles().items() if not role.personal]
    found = account_lists.page(
        ctx.db, ctx.tenant.id, roles=wanted, text=clean_name(call.parameters.get("text", "")),
        after=str(call.parameters.get("after", "")).replace("\0", ""), limit=count + 1,
    )  # fmt: skip
    own = ctx.principal.user.id if ctx.principal.user else ""
    shown = [told(each, changeable=each.role in reach and each.id != own) for each in found[:count]]
    onward = [{"name": "next", "valueId": found[count - 1].id}] if len(found) > count else []
    return {"resourceType": "Parameters", "parameter": [*shown, *onward]}


def told(account: Listed, *, changeable: bool) -> dict[str, Any]:
    """An account as a parameter."""
    parts: list[dict[str, Any]] = [
        {"name": "id", "valueId": account.id},
        {"name": "role", "valueCode": account.role},
        {"name": "status", "valueCode": account.status},
        {"name": "second-factor", "valueBoolean": account.second_factor},
        {"name": "changeable", "valueBoolean": changeable},
        {"name": "created", "valueInstant": account.created},
    ]
    if account.email:
        parts.append({"name": "email", "valueString": account.email})
    if account.phone:
        parts.append({"name": "phone", "valueString": account.phone})
    if account.name:
        parts.append({"name": "name", "valueString": account.name})
    if account.language:
        parts.append({"name": "language", "valueCode": account.language})
    if account.fhir_user:
        parts.append({"name": "person", "valueReference": {"reference": account.fhir_user}})
    if account.last_seen:
        parts.append({"name": "last-seen", "valueInstant": account.last_seen})
    return {"name": "account", "part": parts}
