"""fhir-server run"""

import json
import os
import subprocess
import sys
from typing import Any

import click

from fhir_server.cli import options
from fhir_server.settings import settings
from fhir_server.supervisor.run import Supervisor, local_url

DEMO = "demo"
_DEMO_PATIENTS = 400
_TOKEN_MINUTES = 24 * 60


@click.command()
@click.option("--host", default=lambda: settings.host, help="Address to listen on.  [default: HOST or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), default=lambda: settings.port, help="[default: PORT or 8080]")
@click.option("--no-demo", is_flag=True, help="Do not make the tenant `demo` on the first start.")
@options.data
def run(host: str, port: int, no_demo: bool) -> int:
    """Start the server and keep it running until Ctrl-C."""
    settings.host, settings.port = host, port
    ways: dict[str, Any] = {}

    def first_start() -> None:
        ways.update(_prepare_tenants(demo=not no_demo))

    return Supervisor(lambda: _announce(ways)).run(first_start)


def _prepare_tenants(demo: bool) -> dict[str, Any]:
    """Make the demo tenant if it is wanted and missing; a token and accounts for it, if there is one.

    In a process of its own: the engine takes 60 MB that the supervisor need not keep.
    """
    command = [sys.executable, "-m", "fhir_server.cli.demo", DEMO if demo else "", str(_DEMO_PATIENTS)]
    done = subprocess.run([*command, str(_TOKEN_MINUTES)], check=False, stdout=subprocess.PIPE, env=_environment())
    if done.returncode:
        print("salam: the demo tenant could not be made; the server starts without it.", file=sys.stderr)
    ways: dict[str, Any] = json.loads(done.stdout or b"{}")
    return ways


def _environment() -> dict[str, str]:
    return {**os.environ, **settings.environment()}


def _announce(ways: dict[str, Any]) -> None:
    url = settings.public_url or local_url()
    if ways:
        base = f"{url}/t/{DEMO}/fhir"
        print(f"\nFHIR base of the demo tenant:\n  {base}\n\nTry it (the token is valid for a day):")
        print(f"  curl -H 'Authorization: Bearer {ways['token']}' '{base}/Patient?_count=5&_pretty=true'\n")
        print(f"The clinic's pages:\n  {url}/t/{DEMO}/ui/\n\nSign in there as one of:")
        for account in ways["accounts"]:
            print(f"  {account['email']:<27} {account['password']}")
        print()
    else:
        print(f"\nFHIR base of a tenant:\n  {url}/t/SLUG/fhir\n\nMake one and a token for it:")
        at = f"--data {settings.data_dir}"
        print(f"  fhir-server tenant create SLUG {at}")
        print(f"  fhir-server token --tenant SLUG --scope 'system/*.cruds' {at}\n")
    print(f"ready http://{_shown_host()}:{settings.port}", flush=True)


def _shown_host() -> str:
    return f"[{settings.host}]" if ":" in settings.host else settings.host
