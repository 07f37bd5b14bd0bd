"""fhir-server remove-data"""

import os
from pathlib import Path

import click

from fhir_server.cli import options
from fhir_server.settings import settings
from fhir_server.supervisor import instance, layout


@click.command("remove-data")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.data
def remove_data(yes: bool) -> None:
    """Delete a data folder with everything in it: all tenants, all resources."""
    data = Path(os.path.abspath(settings.data_dir))
    if not data.exists():
        return
    if not (data / "instance.lock").exists():
        raise click.ClickException(f"{data} is not a data folder of this server.")
    held = instance.take(data, "command")
    if held is None:
        raise click.ClickException(f"{data} is in use ({instance.owner(data)}). Stop that first.")
    with held:
        if not yes:
            click.confirm(f"Delete everything in {data}?", abort=True)
        layout.remove(data)
