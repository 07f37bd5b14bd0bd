"""$invite, $change-account, $disable-account, $enable-account, $reset-account (profiles/operations/): what who
administers accounts does with them. The command line does the same (`cli/user.py`); neither can do more.

Links that give a password go by mail to the account's address and are shown to nobody.
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Invalid, NotFound
from fhir_server.interactions import acting, stored
from fhir_server.interactions.changes import Changes
from fhir_server.operations import accounts_list, accounts_rights
from fhir_server.operations.call import OperationCall
from fhir_server.security import accounts, invitations
from fhir_server.security.roles import roles
from fhir_server.storage import accounts as rows
from fhir_server.storage.account_lists import Listed
from fhir_server.storage.accounts import Account


def invite(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Make an account that waits for its first password, and send the letter. `resource`: a Practitioner or another
    person to be stored along with it."""
    role = accounts_rights.given_role(ctx, call)
    language = call.parameters.get("language", "")
    if language and language not in invitations.languages():
        raise Invalid(
            f"language takes one of {', '.join(invitations.languages())}.", expression="http.language", code="value"
        )
    email = call.parameters["email"]
    if not accounts.is_email(accounts.normal_email(email)):
        raise Invalid("That is no e-mail address.", expression="http.email", code="value")
    person = _person(ctx, call, role)
    try:
        made = accounts.create(
            ctx.db, ctx.tenant.id, email=email, role=role, language=language, fhir_user=person,
            name=accounts.clean_name(call.parameters.get("name", "")), patients=_patients(ctx, role, person, ()),
            by=accounts_rights.agent(ctx),
        )  # fmt: skip
    except Conflict as error:
        raise Conflict(error.issues[0].text, expression="http.email", code="duplicate") from None
    invitations.send(ctx.db, ctx.tenant, made)
    return _told(made)


def change(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Give an account another role, or another person; everything that was open under the old ones ends."""
    account = accounts_rights.named(ctx, call)
    role = accounts_rights.given_role(ctx, call)
    kept = account.fhir_user if (account.fhir_user or "").partition("/")[0] in roles()[role].fhir_user else None
    person = _person(ctx, call, role) or kept
    accounts.set_rights(
        ctx.db, ctx.tenant.id, account, role=role, fhir_user=person,
        patients=_patients(ctx, role, person, account.patients), by=accounts_rights.agent(ctx),
    )  # fmt: skip
    return _again(ctx, account)


def disable(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Let nobody in with an account from now on; sessions, apps and tokens end at once."""
    account = accounts_rights.named(ctx, call)
    if account.status != "disabled":
        accounts.disable(ctx.db, ctx.tenant.id, account, by=accounts_rights.agent(ctx))
    return _again(ctx, account)


def enable(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Let a disabled account in again."""
    account = accounts_rights.named(ctx, call)
    if account.status == "disabled":
        accounts.enable(ctx.db, ctx.tenant.id, account, by=accounts_rights.agent(ctx))
    return _again(ctx, account)


def reset(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Send a link with which the person chooses a new password; `factors`: and take every second factor away."""
    account = accounts_rights.named(ctx, call)
    if account.status == "disabled":
        raise Conflict("The account is disabled: enable it first.", expression="http.account")
    if not account.email:
        raise Conflict("The account has no e-mail address to which a link could go.", expression="http.account")
    if call.parameters.get("factors", False):
        accounts.reset_factors(ctx.db, ctx.tenant.id, account, by=accounts_rights.agent(ctx))
    accounts.wait_for_invitation(ctx.db, ctx.tenant.id, account, by=accounts_rights.agent(ctx))
    invitations.send(ctx.db, ctx.tenant, account)
    return _again(ctx, account)


def _person(ctx: Context, call: OperationCall, role: str) -> str | None:
    """`Type/id` of the person the account is for: the one that is named, or the one that is stored now."""
    named, new = call.parameters.get("person"), call.parameters.get("resource")
    if named is not None and new is not None:
        raise Invalid("Give person or resource, not both.", expression="http.resource")
    fitting = roles()[role].fhir_user
    if new is not None:
        if new["resourceType"] not in fitting:
            raise Invalid(
                f"An account with the role {role} is linked to {' or '.join(fitting) or 'no resource'}.",
                expression="http.resource",
            )
        acting.may_write(ctx, new, "c")
        unit = Changes(ctx)
        made = unit.add({key: value for key, value in new.items() if key != "id"})
        unit.run()
        return f"{new['resourceType']}/{made}"
    if named is None:
        return None
    found = stored.local(ctx, named)
    if found is None or found.partition("/")[0] not in fitting:
        allowed = " or ".join(f"{name}/[id]" for name in fitting) or "no resource"
        raise Invalid(f"An account with the role {role} is linked to {allowed}.", expression="http.person")
    kind, _, resource_id = found.partition("/")
    try:
        stored.get(ctx, kind, resource_id)
    except NotFound:
        raise Invalid(f"There is no {found} here.", expression="http.person", code="not-found") from None
    return found


def _patients(ctx: Context, role: str, person: str | None, known: Sequence[str]) -> Sequence[str]:
    """The patients whose records an account of a personal role opens besides its own."""
    if not roles()[role].personal:
        return ()
    kind, _, resource_id = (person or "").partition("/")
    if kind == "RelatedPerson":
        of = stored.local(ctx, stored.get(ctx, kind, resource_id).get("patient"))
        return (of.partition("/")[2],) if of is not None and of.startswith("Patient/") else ()
    if kind == "Patient" and role != "patient":
        return (resource_id,)
    if kind != "Patient" and not known:
        raise Invalid(
            f"An account with the role {role} needs the person whose record it opens.",
            expression="http.person",
            code="required",
        )
    return known


def _again(ctx: Context, account: Account) -> dict[str, Any]:
    """The account as it is now."""
    return _told(rows.by_id(ctx.db, ctx.tenant.id, account.id) or account)


def _told(account: Account) -> dict[str, Any]:
    shown = Listed(
        account.id, account.email, account.name, account.language, account.role, account.fhir_user, account.status,
        account.second_factor, account.created, "", account.phone,
    )  # fmt: skip
    told = accounts_list.told(shown, changeable=True)
    # A new row's time is the database's; it is not read back for this.
    told["part"] = [part for part in told["part"] if part.get("valueInstant") != ""]
    return {"resourceType": "Parameters", "parameter": [told]}
