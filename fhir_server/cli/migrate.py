"""fhir-server migrate"""

import click

from fhir_server.cli import options
from fhir_server.settings import APP_ROLE, settings
from fhir_server.storage import schema
from fhir_server.supervisor.instance import database


@click.command()
@options.as_json
@options.data
def migrate(as_json: bool) -> None:
    """Bring the database's tables up to date."""
    if settings.database_url:
        schema.migrate(settings.owner_conninfo(), APP_ROLE, settings.app_user())
    with database():
        if not settings.database_url:
            schema.migrate(settings.owner_conninfo(), APP_ROLE, settings.app_user())
    version = schema.newest_version()
    options.show({"version": version}, as_json, f"The tables are at version {version}.")
