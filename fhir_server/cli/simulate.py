"""fhir-server simulate"""

import sys
from urllib.parse import urlsplit

import click

from fhir_server.cli import options
from fhir_server.cli.token import new_token
from fhir_server.settings import settings
from fhir_server.simulation.api import Refused
from fhir_server.simulation.play import Wanted, play
from fhir_server.simulation.report import broken, text
from fhir_server.supervisor.instance import database
from fhir_server.supervisor.run import local_url

_SCOPE = "system/*.cruds"
_SPARE_MINUTES = 30


@click.command()
@options.tenant
@click.option(
    "--speed", type=click.FloatRange(1, 600), default=60, show_default=True,
    help="Minutes of the day in a minute: at 60, eight hours take eight minutes.",
)  # fmt: skip
@click.option("--hours", type=click.FloatRange(0.5, 12), default=8, show_default=True, help="How long doors are open.")
@click.option("--desks", type=click.IntRange(1, 20), default=3, show_default=True, help="Desks that call.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another number is another day.")
@click.option("--url", help="The server, if it is not the one of this data folder: http://host:port")
@click.option("--events-url", help="Its event hub.  [default: the server's host, the port after the server's]")
@click.option("--token", help="An access token (system/*.cruds), if the server is not the one of this data folder.")
@options.as_json
@options.data
def simulate(
    slug: str, speed: float, hours: float, desks: int, seed: int, url: str | None, events_url: str | None,
    token: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Play a clinic's day through the public API, and check it.

    People with and without appointments, emergencies, no-shows, late returns, transfers, cancellations and a pause,
    while several desks call. The server's clock is real: the day is compressed. Ends with a report; exit code 1 when
    something was broken that must always hold: a double call, a gap in the numbers, a lost event, an error.
    """
    if token is None:
        minutes = int(hours * 60 / speed) + _SPARE_MINUTES
        with database():
            token = str(new_token(slug, _SCOPE, minutes, "simulation")["access_token"])
    server = url or settings.public_url or local_url()
    wanted = Wanted(
        f"{server.rstrip('/')}/t/{slug}", events_url or _hub(server, url is None), token, speed, hours, desks, seed
    )
    try:
        found = play(wanted, lambda told: print(told, file=sys.stderr, flush=True))
    except Refused as refused:
        raise click.ClickException(str(refused)) from None
    except (OSError, TimeoutError) as error:
        raise click.ClickException(f"{server} does not answer: {error}") from None
    options.show(found, as_json, text(found))
    return 1 if broken(found) else 0


def _hub(server: str, own: bool) -> str:
    if own and settings.hub_url:
        return settings.hub_url
    parts = urlsplit(server)
    port = (
        settings.hub_port if own and settings.hub_port else (parts.port or (443 if parts.scheme == "https" else 80)) + 1
    )
    return f"{parts.scheme}://{parts.hostname}:{port}"
