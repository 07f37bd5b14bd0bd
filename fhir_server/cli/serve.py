"""fhir-server serve: one of the server's programs by itself, for containers that supervise each on its own."""

import os
import tempfile
from pathlib import Path

import click

from fhir_server.cli import options
from fhir_server.settings import settings
from fhir_server.storage import schema
from fhir_server.supervisor import programs


@click.command()
@click.argument("program", type=click.Choice(["web", "hub", "worker"]))
@options.data
def serve(program: str) -> None:
    """Run one program in the foreground; PostgreSQL and Valkey are those of DATABASE_URL and REDIS_URL."""
    if not (settings.database_url and settings.redis_url):
        raise click.UsageError("serve needs DATABASE_URL and REDIS_URL; `fhir-server run` brings its own servers.")
    schema.check(settings.app_conninfo())
    settings.hub_port = settings.hub_port or settings.port + 1
    scratch = Path(tempfile.mkdtemp(prefix="salam-"))
    os.environ.update(settings.environment())
    if program == "web":
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(scratch)
        command = programs.web_command()
    elif program == "hub":
        command = programs.hub_command()
    else:
        command = programs.worker_command(scratch)
    os.execv(command[0], command)
