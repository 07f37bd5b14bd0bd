"""fhir-server user create|invite|list|change|reset|disable|enable"""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fhir_server.authorization_server import rendering
from fhir_server.cli import options
from fhir_server.core.context import Principal, Tenant
from fhir_server.core.errors import Conflict, Invalid
from fhir_server.core.messages import FhirRequest
from fhir_server.core.resource_json import decode
from fhir_server.rest.dispatch import handle, session
from fhir_server.security import accounts, invitations, passwords
from fhir_server.security.roles import roles
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from fhir_server.storage import accounts as account_rows
from fhir_server.storage import tenants
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session
from fhir_server.supervisor.instance import database

F = TypeVar("F", bound=Callable[..., Any])

# What the operator may give somebody for the first day; people who choose for themselves need more.
_SHORTEST = 8
@click.group()
def user() -> None:
    """Make, invite, list, change, reset, disable and enable users."""


def _enter(slug: str) -> tuple[Session, Tenant]:
    db = session()
    state = tenants.find(db, slug)
    db.enter(state.tenant.id, None, state.registry_version)
    return db, state.tenant


def _rights(required: bool) -> Callable[[F], F]:
    def add(command: F) -> F:
        for option in (
            click.option("--patient", "patients", metavar="ID", multiple=True, help="A patient to act for (proxies)."),
            click.option("--resource", metavar="TYPE/ID", help="Who the person is: Patient/ID, Practitioner/ID, ..."),
            click.option("--role", required=required, help="practitioner, nurse, patient, ... (docs: roles)."),
        ):
            command = option(command)
        return command

    return add


def _who(command: F) -> F:
    command = click.option("--email", help="The account's address, instead of EMAIL.")(command)
    return click.argument("address", metavar="[EMAIL]", required=False)(command)


def _email(address: str | None, email: str | None) -> str:
    if not (address or email):
        raise click.UsageError("Give the account's address.")
    return address or email or ""


def _password(text: str | None, email: str, name: str) -> str | None:
    """The password as given, or the line on standard input for "-"."""
    if text is None:
        return None
    if text == "-":
        text = sys.stdin.readline().rstrip("\n")
    if passwords.weakness(text, shortest=_SHORTEST) in ("short", "long"):
        raise Invalid(f"A password has {_SHORTEST} to {passwords.LONGEST} characters.")
    if passwords.weakness(text, email, name):
        options.say("This password is weak. The person should choose another one on the account page.")
    return text


def _patients(slug: str, role: str, resource: str | None, patients: tuple[str, ...]) -> tuple[str, ...]:
    """The patients of a proxy, out of the RelatedPerson when they are not given. Says so when there is no such
    resource: it may be loaded later."""
    if resource is None or resource.partition("/")[0] not in roles().get(role, roles()["service"]).fhir_user:
        return patients
    me = Principal("operator", parse_scopes("system/*.r"), None)
    answer = handle(FhirRequest("GET", resource, [], {}, b"", settings.fhir_base(slug)), slug, principal=me)
    if answer.status != 200:
        options.say(f"There is no {resource} in this tenant yet; apps will not find who the account's person is.")
    if role != "proxy" or patients or not resource.startswith("RelatedPerson/"):
        return patients
    found = decode(answer.body or b"{}") if answer.status == 200 else {}
    kind, _, patient = str(found.get("patient", {}).get("reference", "")).rpartition("/")
    return (patient,) if kind.endswith("Patient") else ()


def _told(account: Account) -> dict[str, Any]:
    return {
        "id": account.id, "email": account.email, "name": account.name, "role": account.role,
        "fhirUser": account.fhir_user, "patients": list(account.patients), "status": account.status,
        "secondFactor": account.second_factor,
    }  # fmt: skip


def _invite(db: Session, tenant: Tenant, account: Account) -> dict[str, Any]:
    return {**_told(account), "invitation": invitations.send(db, tenant, account)}


def _make(slug: str, email: str, password: str | None, verified: bool, **given: Any) -> dict[str, Any]:
    given["patients"] = _patients(slug, given["role"], given["fhir_user"], given["patients"])
    db, tenant = _enter(slug)
    made = accounts.create(db, tenant.id, email=email, password=password, verified=verified, **given)
    told = _told(made) if password else _invite(db, tenant, made)
    db.commit()
    return told


@user.command()
@options.tenant
@click.option("--email", required=True, help="The address, which is the name to sign in with.")
@click.option("--password", help='The password; "-" reads it from standard input. None: an invitation is sent.')
@_rights(True)
@click.option("--name", default="", help="What the person is called.")
@click.option("--language", type=click.Choice([*rendering.LANGUAGES]), help="The language of mails and pages.")
@click.option("--verify-email", is_flag=True, help="Ask for a code sent to the address at the first sign-in.")
@options.as_json
@options.data
def create(
    slug: str,
    email: str,
    password: str | None,
    role: str,
    resource: str | None,
    patients: tuple[str, ...],
    name: str,
    language: str | None,
    verify_email: bool,
    as_json: bool,
) -> None:
    """Make an account."""
    known = _password(password, email, name)
    with database():
        made = _make(
            slug, email, known, not verify_email, role=role, fhir_user=resource, patients=patients, name=name,
            language=language or "",
        )  # fmt: skip
    options.show(made, as_json, made.get("invitation") or f"{made['email']} is a {role} of {slug}.")


@user.command()
@options.tenant
@_who
@_rights(False)
@click.option("--name", default="", help="What the person is called.")
@click.option("--language", type=click.Choice([*rendering.LANGUAGES]), help="The language of mails and pages.")
@options.as_json
@options.data
def invite(
    slug: str,
    address: str | None,
    email: str | None,
    role: str | None,
    resource: str | None,
    patients: tuple[str, ...],
    name: str,
    language: str | None,
    as_json: bool,
) -> None:
    """Send a link with which somebody chooses a password. With --role it makes the account; without, the account waits
    for an invitation already."""
    wanted = _email(address, email)
    with database():
        if role is not None:
            made = _make(
                slug, wanted, None, True, role=role, fhir_user=resource, patients=patients, name=name,
                language=language or "",
            )  # fmt: skip
        else:
            db, tenant = _enter(slug)
            account = accounts.find(db, tenant.id, wanted)
            if account.status != "invited":
                raise Conflict("This account has a password already. To give it a new one: user reset.")
            made = _invite(db, tenant, account)
            db.commit()
    options.show(made, as_json, made["invitation"])


@user.command("list")
@options.tenant
@options.as_json
@options.data
def list_(slug: str, as_json: bool) -> None:
    """List the accounts of a tenant."""
    with database():
        db, tenant = _enter(slug)
        found = [_told(account) for account in account_rows.every(db, tenant.id)]
        db.commit()
    lines = [f"{row['status']:<9} {row['role']:<13} {row['fhirUser'] or '-':<28} {row['email']}" for row in found]
    options.show(found, as_json, "\n".join(lines) or "There is no account yet.")


@user.command()
@options.tenant
@_who
@_rights(True)
@options.as_json
@options.data
def change(
    slug: str,
    address: str | None,
    email: str | None,
    role: str,
    resource: str | None,
    patients: tuple[str, ...],
    as_json: bool,
) -> None:
    """Give an account another role or other links; links that are not given stay where the role can have them. Its
    sessions, apps and tokens end."""

    def move(db: Session, tenant: Tenant, account: Account) -> None:
        new = roles().get(role)
        kept = account.fhir_user if new and (account.fhir_user or "").partition("/")[0] in new.fhir_user else None
        records = acting or (account.patients if new and new.personal else ())
        accounts.set_rights(db, tenant.id, account, role=role, fhir_user=resource or kept, patients=records)

    with database():
        acting = _patients(slug, role, resource, patients)
        told = _change(slug, _email(address, email), move)
    options.show(told, as_json, f"{told['email']} is a {role} of {slug} now.")


@user.command()
@options.tenant
@_who
@click.option("--password", help='The new password; "-" reads it from standard input. None: a link is sent.')
@click.option("--factors", is_flag=True, help="Take the authenticator app and the passkeys away, too.")
@options.as_json
@options.data
def reset(
    slug: str, address: str | None, email: str | None, password: str | None, factors: bool, as_json: bool
) -> None:
    """Give an account a new password, or a link to choose one. Its sessions, apps and tokens end."""
    wanted = _email(address, email)
    known = _password(password, wanted, "")

    def renew(db: Session, tenant: Tenant, account: Account) -> None:
        if factors:
            accounts.reset_factors(db, tenant.id, account)
        if known is not None:
            accounts.set_password(db, tenant.id, account, known, by="operator")
            if account.status == "invited":
                accounts.enable(db, tenant.id, accounts.find(db, tenant.id, account.email))
        else:
            accounts.wait_for_invitation(db, tenant.id, account)

    with database():
        told = _change(slug, wanted, renew)
        if known is None:
            db, tenant = _enter(slug)
            told = _invite(db, tenant, accounts.find(db, tenant.id, wanted))
            db.commit()
    options.show(told, as_json, told.get("invitation") or f"{told['email']} has a new password.")


@user.command()
@options.tenant
@_who
@options.as_json
@options.data
def disable(slug: str, address: str | None, email: str | None, as_json: bool) -> None:
    """Let nobody in with an account from now on; sessions, apps and tokens end at once."""
    with database():
        told = _change(
            slug, _email(address, email), lambda db, tenant, account: accounts.disable(db, tenant.id, account)
        )
    options.show(told, as_json, f"{told['email']} is disabled.")


@user.command()
@options.tenant
@_who
@options.as_json
@options.data
def enable(slug: str, address: str | None, email: str | None, as_json: bool) -> None:
    """Let a disabled account in again."""
    with database():
        told = _change(
            slug, _email(address, email), lambda db, tenant, account: accounts.enable(db, tenant.id, account)
        )
    options.show(told, as_json, f"{told['email']} is {told['status']}.")


def _change(slug: str, email: str, work: Callable[[Session, Tenant, Account], None]) -> dict[str, Any]:
    """Do something with an account and give what it is afterwards, in one transaction."""
    db, tenant = _enter(slug)
    work(db, tenant, accounts.find(db, tenant.id, email))
    told = _told(accounts.find(db, tenant.id, email))
    db.commit()
    return told
