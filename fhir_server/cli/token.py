"""fhir-server token"""

import secrets
import uuid
from typing import Any

import click

from fhir_server.cli import options
from fhir_server.conformance.registry import Registry
from fhir_server.core.errors import Invalid
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security.access import enforceable
from fhir_server.security.authenticate import token_digest
from fhir_server.security.scopes import Scopes, parse_scopes
from fhir_server.storage import access_tokens, oauth_grants
from fhir_server.supervisor.instance import database

_LONGEST_MINUTES = 366 * 24 * 60


def new_token(slug: str, scope: str, minutes: int, client: str, patient: str | None = None) -> dict[str, Any]:
    """Make an access token; only its SHA-256 is stored. `patient`: the id that patient/ scopes are about.

    Raises `Invalid` for a scope that cannot be enforced.
    """
    scopes = parse_scopes(scope)
    db = session()
    place = refresh(db, slug)
    _check(place.registry, scopes, patient)
    value = secrets.token_urlsafe(32)
    db.enter(place.tenant.id, None, place.version)
    grant_id = None
    if patient is not None:
        grant_id = uuid.uuid4().hex
        grant = oauth_grants.open_grant(
            place.tenant.id,
            grant_id,
            client_id=client,
            user_id=None,
            session_hash=None,
            scope=scopes.text,
            context={"patient": patient},
            purpose="PATRQT",
            nonce=None,
            amr=(),
            auth_time=None,
        )
        db.run([grant])
    save = access_tokens.save(
        place.tenant.id,
        token_digest(value),
        scope=scopes.text,
        client_id=client,
        seconds=minutes * 60,
        token_id=uuid.uuid4().hex,
        grant_id=grant_id,
    )
    db.run([save], final=True)
    return {"access_token": value, "token_type": "Bearer", "expires_in": minutes * 60, "scope": scopes.text}


def _check(registry: Registry, scopes: Scopes, patient: str | None) -> None:
    for right in scopes.rights:
        if not enforceable(registry, right):
            raise Invalid(f"The scope {right} cannot be enforced: its type or a search parameter is not known.")
        if right.context == "patient" and patient is None:
            raise Invalid("patient/ scopes need the patient whose record they are about (--patient ID).")


@click.command()
@options.tenant
@click.option("--scope", required=True, help='SMART scopes, for example "system/*.cruds" or "system/Patient.rs".')
@click.option(
    "--minutes", type=click.IntRange(1, _LONGEST_MINUTES), default=60, show_default=True, help="How long it is valid."
)
@click.option("--patient", metavar="ID", help="The patient whose record patient/ scopes are about.")
@click.option("--client", default="operator", show_default=True, help="Who it is for, as the logs name it.")
@options.as_json
@options.data
def token(slug: str, scope: str, minutes: int, patient: str | None, client: str, as_json: bool) -> None:
    """Print an access token for a tenant."""
    with database():
        made = new_token(slug, scope, minutes, client, patient)
    options.show(made, as_json, made["access_token"])
