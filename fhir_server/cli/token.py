"""fhir-server token"""

import secrets
from typing import Any

import click

from fhir_server.cli import options
from fhir_server.rest.dispatch import session
from fhir_server.security.authenticate import token_digest
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage import operator, tenants
from fhir_server.supervisor.instance import database

_LONGEST_MINUTES = 366 * 24 * 60


def new_token(slug: str, scope: str, minutes: int, client: str) -> dict[str, Any]:
    """Make an access token; only its SHA-256 is stored. Raises `Invalid` for a scope that cannot be enforced."""
    scopes = parse_scopes(scope)
    value = secrets.token_urlsafe(32)
    db = session()
    state = tenants.find(db, slug)
    db.enter(state.tenant.id, None, state.registry_version)
    operator.save_token(db, state.tenant.id, token_digest(value), scopes.text, client, minutes)
    return {"access_token": value, "token_type": "Bearer", "expires_in": minutes * 60, "scope": scopes.text}


@click.command()
@options.tenant
@click.option("--scope", required=True, help='SMART scopes, for example "system/*.cruds" or "system/Patient.rs".')
@click.option(
    "--minutes", type=click.IntRange(1, _LONGEST_MINUTES), default=60, show_default=True, help="How long it is valid."
)
@click.option("--client", default="operator", show_default=True, help="Who it is for, as the logs name it.")
@options.as_json
@options.data
def token(slug: str, scope: str, minutes: int, client: str, as_json: bool) -> None:
    """Print an access token for a tenant."""
    with database():
        made = new_token(slug, scope, minutes, client)
    options.show(made, as_json, made["access_token"])
