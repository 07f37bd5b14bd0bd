"""fhir-server launch create"""

import click

from fhir_server.authorization_server import picker
from fhir_server.cli import options
from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import Invalid, NotFound
from fhir_server.rest.dispatch import session
from fhir_server.security import accounts
from fhir_server.security.oauth import clients
from fhir_server.security.oauth import launch as launches
from fhir_server.security.oauth.urls import Realm, urls_of_base
from fhir_server.settings import settings
from fhir_server.storage import tenants
from fhir_server.supervisor.instance import database


@click.group()
def launch() -> None:
    """Make the launch of a SMART app, as an EHR's user would by opening it from a patient's record."""


def new_launch(
    slug: str, client_id: str, email: str, patient: str, encounter: str | None = None, intent: str | None = None
) -> dict[str, object]:
    """Make a launch; its value is shown once. Raises `NotFound` for a client, user, patient or encounter that is not
    there, or that the user may not open."""
    db = session()
    state = tenants.find(db, slug)
    db.enter(state.tenant.id, None, state.registry_version)
    account = accounts.find(db, state.tenant.id, email)
    client = clients.find(db, state.tenant.id, client_id)
    if client is None or not client.active:
        raise NotFound("There is no active client of this id.")
    if account.status != "active":
        raise Invalid("This user cannot sign in.")
    context = launches.launch_context(patient, encounter, intent=intent)
    base = settings.fhir_base(slug)
    place = picker.place(db, Realm(state.tenant.id, urls_of_base(base), base_registry()), slug, account.user)
    if picker.patient(place, patient) is None:
        raise NotFound("There is no such patient, or the user may not open the record.")
    if encounter is not None and not picker.is_visit_of(place, encounter, patient):
        raise NotFound("There is no such encounter of the patient, or the user may not open it.")
    db.enter(state.tenant.id, None, state.registry_version)
    value = launches.create(db, state.tenant.id, client_id=client_id, user_id=account.id, context=context)
    db.commit()
    return {
        "launch": value,
        "iss": base,
        "url": launches.app_url(client, base, value),
        "expires_in": launches.SECONDS,
    }


@launch.command()
@options.tenant
@click.option("--client", "client_id", required=True, help="The app's client_id.")
@click.option("--user", "email", required=True, help="Address of the user who opens the app; only they can use it.")
@click.option("--patient", required=True, help="Id of the patient.")
@click.option("--encounter", help="Id of an encounter of the patient.")
@click.option("--intent", help="What the app is opened for, as the app understands it.")
@options.as_json
@options.data
def create(
    slug: str, client_id: str, email: str, patient: str, encounter: str | None, intent: str | None, as_json: bool
) -> None:
    """Print a launch value, good once and for five minutes, and the app's URL with it."""
    with database():
        made = new_launch(slug, client_id, email, patient, encounter, intent)
    text = f"launch  {made['launch']}\nurl     {made['url'] or 'The app registered no launch URL.'}"
    options.show(made, as_json, text)
