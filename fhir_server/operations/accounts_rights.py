"""Who may administer whose account: data of the roles (`manages` in profiles/security/roles.json)."""

import re
from collections.abc import Mapping

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Forbidden, NotFound
from fhir_server.operations.call import OperationCall
from fhir_server.security import audit, policy
from fhir_server.security.roles import Role, roles
from fhir_server.storage import accounts as rows
from fhir_server.storage.accounts import Account

_ID = re.compile(r"[0-9a-f]{32}\Z")
# An app that a manager let read a diary makes nobody an account: the token must reach as far as the role does here.
_TYPE = "Person"


def managed(ctx: Context) -> Mapping[str, Role]:
    """The roles whose accounts the caller may make, change and end. Raises `Forbidden` for who may not at all: it takes
    the role's right `users` and `user/Person.u`, or the operator's token."""
    who = ctx.principal
    if who.user is None:
        if who.scopes.operator:
            return roles()
    elif who.user.role in roles():
        mine = roles()[who.user.role]
        if "users" in mine.may and policy.whole(ctx, _TYPE, "u"):
            return {name: roles()[name] for name in mine.manages}
    raise Forbidden(
        f"Only users whose role has the right users may administer accounts, with a token for user/{_TYPE}.u."
    )


def named(ctx: Context, call: OperationCall) -> Account:
    """The account that a call names. Raises `NotFound`, `Forbidden` when its role is not among the caller's, and
    `Conflict` for the own account: nobody locks himself out."""
    reach = managed(ctx)
    wanted = str(call.parameters["account"])
    account = rows.by_id(ctx.db, ctx.tenant.id, wanted) if _ID.match(wanted) else None
    if account is None:
        raise NotFound("There is no such account.", expression="http.account")
    if ctx.principal.user is not None and ctx.principal.user.id == account.id:
        raise Conflict("This is your own account: another person has to change it.", expression="http.account")
    if account.role not in reach:
        raise Forbidden(f"Accounts with the role {account.role} are not yours to change.", expression="http.account")
    return account


def given_role(ctx: Context, call: OperationCall) -> str:
    """The role that a call wants to give. Raises `Forbidden` for one that is not the caller's to give."""
    reach, role = managed(ctx), str(call.parameters["role"])
    if role not in reach:
        known = ", ".join(reach)
        raise Forbidden(f"The role {role!r} is not yours to give. You may give: {known}.", expression="http.role")
    return role


def agent(ctx: Context) -> str:
    """How the audit log names who did it."""
    return audit.agent_of(ctx.principal) or f"client:{ctx.principal.client_id}"
