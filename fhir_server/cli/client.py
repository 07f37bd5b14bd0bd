"""fhir-server client create|list|disable|enable|rotate-secret|rotate-keys"""

import json
from pathlib import Path
from typing import Any

import click
from authlib.oauth2.rfc6749.errors import OAuth2Error

from fhir_server.cli import options
from fhir_server.core.errors import Invalid, NotFound
from fhir_server.rest.dispatch import session
from fhir_server.security import audit
from fhir_server.security.oauth import clients, grants, id_tokens
from fhir_server.security.oauth.clients import Client
from fhir_server.storage import oauth_clients, tenants
from fhir_server.storage.session import Session
from fhir_server.supervisor.instance import database


@click.group()
def client() -> None:
    """Register, list, disable and enable OAuth clients of a tenant."""


def _enter(slug: str) -> tuple[Session, int]:
    db = session()
    state = tenants.find(db, slug)
    db.enter(state.tenant.id, None, state.registry_version)
    return db, state.tenant.id


def _found(db: Session, tenant_id: int, client_id: str) -> Client:
    found = clients.find(db, tenant_id, client_id)
    if found is None:
        raise NotFound(f"There is no client {client_id}.")
    return found


def _told(found: Client) -> dict[str, Any]:
    return {**found.metadata, "client_id": found.client_id, "status": found.status}


@client.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.tenant
@options.as_json
@options.data
def create(file: Path, slug: str, as_json: bool) -> None:
    """Register a client described by a JSON FILE, and print its client_id and, once, its secret.

    FILE holds members of RFC 7591: client_name, token_endpoint_auth_method, redirect_uris, grant_types, scope, jwks or
    jwks_uri, launch_url, application_type, logo_uri, contacts; and client_id, to choose it.
    """
    given = _metadata(file)
    with database():
        db, tenant_id = _enter(slug)
        try:
            made, secret = clients.register(db, tenant_id, given, client_id=given.get("client_id"))
        except OAuth2Error as error:
            raise Invalid(f"{file.name}: {error.description}") from None
        note = audit.note(db, tenant_id, "client-registered", client_id=made.client_id, agent="operator")
        db.run([note], final=True)
    told = _told(made) | ({} if secret is None else {"client_secret": secret})
    lines = [f"client_id: {made.client_id}"]
    if secret is not None:
        lines.append(f"client_secret: {secret}  (shown this once)")
    options.show(told, as_json, "\n".join(lines))


def _metadata(file: Path) -> dict[str, Any]:
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not isinstance(given.get("client_id", ""), str):
        raise Invalid(f"{file.name} does not hold a JSON object of client metadata.")
    return given


@client.command("list")
@options.tenant
@options.as_json
@options.data
def list_(slug: str, as_json: bool) -> None:
    """List the tenant's clients."""
    with database():
        db, tenant_id = _enter(slug)
        found = clients.find_all(db, tenant_id)
    lines = [f"{each.client_id:<34} {each.status:<9} {each.auth_method:<20} {each.name}" for each in found]
    options.show([_told(each) for each in found], as_json, "\n".join(lines) or "There is no client yet.")


def _set_status(slug: str, client_id: str, status: str) -> dict[str, Any]:
    with database():
        db, tenant_id = _enter(slug)
        _found(db, tenant_id, client_id)
        db.run([oauth_clients.set_status(tenant_id, client_id, status)])
        if status == "disabled":
            grants.end_client_grants(db, tenant_id, client_id)
        note = audit.note(
            db, tenant_id, "client-changed", client_id=client_id, detail={"status": status}, agent="operator"
        )
        db.run([note], final=True)
        return _told(_found(db, tenant_id, client_id))


@client.command()
@click.argument("client_id")
@options.tenant
@options.as_json
@options.data
def disable(client_id: str, slug: str, as_json: bool) -> None:
    """Refuse a client from now on, and revoke all that was granted to it."""
    options.show(_set_status(slug, client_id, "disabled"), as_json, f"Client {client_id} is disabled.")


@client.command()
@click.argument("client_id")
@options.tenant
@options.as_json
@options.data
def enable(client_id: str, slug: str, as_json: bool) -> None:
    """Let a client in again; users must grant it anew."""
    options.show(_set_status(slug, client_id, "active"), as_json, f"Client {client_id} is active.")


@client.command("rotate-secret")
@click.argument("client_id")
@options.tenant
@options.as_json
@options.data
def rotate_secret(client_id: str, slug: str, as_json: bool) -> None:
    """Give a client a new secret, printed once; the one before it stays valid until the next rotation."""
    with database():
        db, tenant_id = _enter(slug)
        try:
            secret = clients.rotate_secret(db, tenant_id, _found(db, tenant_id, client_id))
        except OAuth2Error as error:
            raise Invalid(str(error.description)) from None
        note = audit.note(
            db, tenant_id, "client-changed", client_id=client_id, detail={"secret": "rotated"}, agent="operator"
        )
        db.run([note], final=True)
    options.show({"client_id": client_id, "client_secret": secret}, as_json, secret)


@client.command("rotate-keys")
@options.tenant
@options.as_json
@options.data
def rotate_keys(slug: str, as_json: bool) -> None:
    """Sign the tenant's id_tokens with a new key from now on; the old one stays published for two days."""
    with database():
        db, tenant_id = _enter(slug)
        kid = id_tokens.rotate(db, tenant_id)
        db.commit()
    options.show({"kid": kid}, as_json, f"The new key is {kid}.")
