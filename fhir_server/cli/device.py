"""fhir-server device create|pair|list|unpair"""

from typing import Any

import click

from fhir_server.cli import options
from fhir_server.core.context import Principal
from fhir_server.core.errors import Invalid
from fhir_server.core.messages import FHIR_JSON, FhirRequest
from fhir_server.core.resource_json import decode, encode
from fhir_server.rest.dispatch import handle
from fhir_server.security.scopes import parse_scopes
from fhir_server.settings import settings
from fhir_server.supervisor.instance import database

_KIND = "urn:salam:CodeSystem:device-kind"
_SETTINGS = "urn:salam:StructureDefinition:waiting-room"
_OPERATOR = Principal("operator", parse_scopes("system/*.cruds operator"), None, purpose="HOPERAT")


@click.group()
def device() -> None:
    """Make, pair, list and end boards and kiosks of waiting rooms."""


def _ask(slug: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A FHIR request of the operator. Raises `Invalid` with what the server says against it."""
    sent = b"" if body is None else encode(body)
    request = FhirRequest(method, path, [], {"content-type": FHIR_JSON}, sent, settings.fhir_base(slug))
    answer = handle(request, slug, principal=_OPERATOR)
    found: dict[str, Any] = decode(answer.body or b"{}")
    if answer.status >= 400:
        said = [str(issue["details"]["text"]) for issue in found.get("issue", ()) if "text" in issue.get("details", {})]
        raise Invalid(" ".join(said) or f"The server answered {answer.status}.")
    return found


def _values(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Parameters as values by name."""
    return {each["name"]: next(v for name, v in each.items() if name.startswith("value")) for each in parameters}


def _pair(slug: str, device_id: str) -> dict[str, Any]:
    offered = _values(_ask(slug, "POST", f"Device/{device_id}/$pair")["parameter"])
    return {"device": f"Device/{device_id}", **offered}


def _text(paired: dict[str, Any]) -> str:
    name, code, url, expires = (paired[key] for key in ("device", "code", "url", "expires"))
    return f"{name}: open {url} on the device, or type {code} there. Once, until {expires}."


@device.command()
@options.tenant
@click.option("--kind", type=click.Choice(["board", "kiosk"]), required=True, help="What it is for.")
@click.option(
    "--location", metavar="Location/ID", required=True, help="Where it stands: the site whose queues it shows."
)
@click.option("--name", default="", help="What the staff call it.")
@click.option("--queue", "queues", metavar="HealthcareService/ID", multiple=True, help="A queue, in order.  [all]")
@click.option(
    "--language",
    "languages",
    type=click.Choice(["fr", "en", "es", "ar"]),
    multiple=True,
    help="A language, in order.  [fr, ar, en]",
)
@options.as_json
@options.data
def create(
    slug: str, kind: str, location: str, name: str, queues: tuple[str, ...], languages: tuple[str, ...], as_json: bool
) -> None:
    """Make a board or a kiosk, and a code that signs it in."""
    parts = [{"url": "queue", "valueReference": {"reference": each}} for each in queues]
    parts += [{"url": "language", "valueCode": each} for each in languages]
    made: dict[str, Any] = {
        "resourceType": "Device", "status": "active", "type": {"coding": [{"system": _KIND, "code": kind}]},
        "location": {"reference": location},
    }  # fmt: skip
    if name:
        made["deviceName"] = [{"name": name, "type": "user-friendly-name"}]
    if parts:
        made["extension"] = [{"url": _SETTINGS, "extension": parts}]
    with database():
        _ask(slug, "GET", location)
        paired = _pair(slug, _ask(slug, "POST", "Device", made)["id"])
    options.show(paired, as_json, _text(paired))


@device.command()
@options.tenant
@click.argument("device_id", metavar="ID")
@options.as_json
@options.data
def pair(slug: str, device_id: str, as_json: bool) -> None:
    """Make a new code for a device; its sign-in goes on until the code is used."""
    with database():
        paired = _pair(slug, device_id.removeprefix("Device/"))
    options.show(paired, as_json, _text(paired))


@device.command("list")
@options.tenant
@options.as_json
@options.data
def list_(slug: str, as_json: bool) -> None:
    """List the devices that were ever paired, and when they were last seen."""
    with database():
        answer = _ask(slug, "GET", "Device/$sign-ins")
    found = [_values(each["part"]) for each in answer.get("parameter", ())]
    rows = [{**each, "device": each["device"]["reference"]} for each in found]
    lines = [f"{r['kind']:<6} {r['state']:<8} {r.get('lastSeen', '-'):<25} {r['device']}" for r in rows]
    options.show(rows, as_json, "\n".join(lines) or "There is no device yet.")


@device.command()
@options.tenant
@click.argument("device_id", metavar="ID")
@options.as_json
@options.data
def unpair(slug: str, device_id: str, as_json: bool) -> None:
    """End the sign-in of a device at once."""
    name = device_id.removeprefix("Device/")
    with database():
        ended = _values(_ask(slug, "POST", f"Device/{name}/$unpair")["parameter"])
    options.show({"device": f"Device/{name}", **ended}, as_json, f"Device/{name} is not signed in any more.")
