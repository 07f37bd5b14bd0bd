"""The operator's command line, `fhir-server`: one file per command, imported when it is called."""

import sys
from importlib import import_module

import click
import psycopg

from fhir_server.core.errors import FhirError
from fhir_server.storage.schema import UnsafeDatabase
from fhir_server.supervisor.layout import CannotStart

# name: what it does, in the order of the help text. Each is `fhir_server/cli/<name>.py` with a command of that name.
COMMANDS = {
    "run": "Start the server and keep it running.",
    "serve": "Run one of the server's programs by itself (containers).",
    "tenant": "Make, list, suspend and resume tenants.",
    "token": "Print an access token for a tenant.",
    "user": "Make, invite, list, reset, disable and enable users.",
    "device": "Make, pair, list and end boards and kiosks of waiting rooms.",
    "client": "Register, list and disable OAuth clients.",
    "launch": "Make the launch of a SMART app.",
    "calendar": "Make, list and revoke secret links to calendars; check times after zone changes.",
    "messages": "List, replay and count messages to people; watch the sandbox.",
    "audit": "Verify and list the audit log.",
    "break-glass": "List and review emergency accesses to records.",
    "keys": "List, rotate and destroy the keys of what is encrypted.",
    "erase": "Erase a patient's record for good, when two people want it.",
    "simulate": "Play a clinic's day through the public API, and check it.",
    "terminology": "Import, list and remove code systems.",
    "load": "Load Bundles and NDJSON files into a tenant.",
    "package": "Keep packages of definitions (implementation guides), and install them in tenants.",
    "reindex": "Compute the search index of a tenant anew.",
    "validate": "Validate what a tenant stores by the rules of now, and tag what breaks them.",
    "check": "Compare a tenant's search index with its resources.",
    "migrate": "Bring the database's tables up to date.",
    "remove-data": "Delete a data folder with everything in it.",
}


class _Commands(click.Group):
    """Knows every command's name and line of help without importing any of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"fhir_server.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def commands() -> None:
    """Operate a Salam FHIR server. Works while the server runs and while it is stopped."""


def main() -> int:
    """Run one command; 0 when it did all it was asked, 1 when not, 2 for a wrong command line."""
    try:
        return int(commands.main(prog_name="fhir-server", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        print("Interrupted.", file=sys.stderr)
        return 130
    except (FhirError, CannotStart, UnsafeDatabase, ValueError, psycopg.OperationalError) as error:
        print(f"fhir-server: {error}", file=sys.stderr)
        return 1
