"""fhir-server tenant create|list|suspend|resume"""

import re
from collections.abc import Callable
from typing import IO, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from fhir_server.cli import options
from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode
from fhir_server.features.notifications.options import check
from fhir_server.rest.dispatch import session
from fhir_server.storage import operator
from fhir_server.supervisor.instance import database
from fhir_server.validation import modes

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


@click.group()
def tenant() -> None:
    """Make, list, suspend and resume tenants."""


def _slug(context: click.Context, option: click.Parameter, value: str) -> str:
    if not _SLUG.match(value):
        raise click.BadParameter("a slug is 1 to 63 of a-z, 0-9 and '-', and begins with a letter or digit.")
    return value


def _zone(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None:
            ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"{value!r} is no IANA time zone, such as Africa/Casablanca.") from None
    return value


@tenant.command()
@click.argument("slug", callback=_slug)
@click.option("--name", help="The name people see.  [default: the slug]")
@click.option("--zone", default="UTC", show_default=True, callback=_zone, help="IANA zone of dates without one.")
@options.as_json
@options.data
def create(slug: str, name: str | None, zone: str, as_json: bool) -> None:
    """Make a tenant; its FHIR base is /t/SLUG/fhir."""
    with database():
        made = operator.create_tenant(session(), slug, name or slug, {"zone": zone})
    options.show(made, as_json, f"Tenant {slug} is ready at /t/{slug}/fhir")


def _notifications(ctx: click.Context, parameter: click.Parameter, file: IO[bytes] | None) -> dict[str, Any] | None:
    """What the file says of messages to people, if it can be used."""
    if file is None:
        return None
    chosen: dict[str, Any] = decode(file.read())
    faults = check(chosen)
    if faults:
        raise click.BadParameter(" ".join(f"{fault.expression}: {fault.text}" for fault in faults))
    return chosen


_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+\Z")
_BRAND: dict[str, tuple[Callable[[str], object], str]] = {
    "name": (lambda text: 0 < len(text) <= 80, "is a name of at most 80 characters."),
    "accent": (_COLOUR.match, "is a colour such as #0b6b63."),
    "accent_dark": (_COLOUR.match, "is a colour such as #5cc8bd."),
    "logo_svg": (lambda text: "<svg" in text and len(text) <= 65_536, "is an SVG image of at most 64 kB, as text."),
    "domain": (_DOMAIN.match, "is a host name such as rdv.clinic.example."),
}


def _brand(ctx: click.Context, parameter: click.Parameter, file: IO[bytes] | None) -> dict[str, Any] | None:
    """What the file says of the look of a tenant's pages, if it can be used."""
    if file is None:
        return None
    chosen: dict[str, Any] = decode(file.read())
    for name, value in chosen.items():
        if name not in _BRAND:
            raise click.BadParameter(f"a brand has {', '.join(_BRAND)}; not {name!r}.")
        holds, rule = _BRAND[name]
        if not isinstance(value, str) or not holds(value):
            raise click.BadParameter(f"{name} {rule}")
    return chosen


def _validation(ctx: click.Context, parameter: click.Parameter, file: IO[bytes] | None) -> dict[str, Any] | None:
    """What the file says is done with data that breaks rules, if it can be used."""
    if file is None:
        return None
    with file:
        chosen: dict[str, Any] = decode(file.read())
    faults = modes.check(chosen, base_registry().type_ids)
    if faults:
        raise click.BadParameter(" ".join(f"{fault.expression}: {fault.text}" for fault in faults))
    return chosen


@tenant.command("set")
@click.argument("slug")
@click.option("--zone", callback=_zone, help="IANA zone of dates without one.")
@click.option("--language", type=click.Choice(["fr", "en", "es", "ar"]), help="Language of its pages and mails.")
@click.option("--country", help="Country whose rules of retention hold, such as ma, sn or fr.")
@click.option("--retention-years", type=click.IntRange(1, 150), help="Keep records so long instead.")
@click.option("--dynamic-registration/--no-dynamic-registration", default=None, help="Apps may register themselves.")
@click.option("--notifications", type=click.File("rb"), callback=_notifications, help="JSON: howto/notifications.md.")
@click.option("--validation", type=click.File("rb"), callback=_validation, help="JSON: howto/validation.md.")
@click.option("--brand", type=click.File("rb"), callback=_brand, help="JSON: howto/pages.md.")
@options.as_json
@options.data
def set_(slug: str, as_json: bool, **chosen: Any) -> None:
    """Change what is set for a tenant; what is not named stays."""
    settings = {name: value for name, value in chosen.items() if value is not None}
    with database():
        changed = operator.change_settings(session(), slug, settings)
    options.show(changed, as_json, f"Tenant {slug}: {', '.join(settings) or 'nothing'} changed.")


@tenant.command("list")
@options.as_json
@options.data
def list_(as_json: bool) -> None:
    """List all tenants."""
    with database():
        found = operator.list_tenants(session())
    lines = [f"{row['slug']:<24} {row['status']:<10} {row['created']}  {row['name']}" for row in found]
    options.show(found, as_json, "\n".join(lines) or "There is no tenant yet.")


@tenant.command()
@click.argument("slug")
@options.as_json
@options.data
def suspend(slug: str, as_json: bool) -> None:
    """Refuse all requests to a tenant from now on; its data stays."""
    with database():
        changed = operator.set_status(session(), slug, "suspended")
    options.show(changed, as_json, f"Tenant {slug} is suspended.")


@tenant.command()
@click.argument("slug")
@options.as_json
@options.data
def resume(slug: str, as_json: bool) -> None:
    """Serve a suspended tenant again."""
    with database():
        changed = operator.set_status(session(), slug, "active")
    options.show(changed, as_json, f"Tenant {slug} is active.")
