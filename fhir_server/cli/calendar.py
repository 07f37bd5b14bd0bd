"""fhir-server calendar create|list|revoke|check-times"""

import click

from fhir_server.cli import options
from fhir_server.core.context import Context
from fhir_server.core.errors import NotFound
from fhir_server.features.scheduling import calendar_operations, moved_times
from fhir_server.interactions import stored
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.storage import calendar_links
from fhir_server.supervisor.instance import database


@click.group()
def calendar() -> None:
    """Make, list and revoke secret links to calendars; find visits whose time zone changed its rules."""


def tenant_context(slug: str) -> Context:
    """The server's context in a tenant."""
    db = session()
    return server_context(db, refresh(db, slug))


@calendar.command()
@click.argument("actor", metavar="TYPE/ID")
@options.tenant
@click.option("--names", is_flag=True, help="The calendar says who comes and for which service.")
@options.as_json
@options.data
def create(actor: str, slug: str, names: bool, as_json: bool) -> None:
    """Print a new link to the calendar of a Practitioner, Location or Schedule. It is shown this once."""
    kind, _, id_ = actor.partition("/")
    if kind not in calendar_operations.ACTORS:
        raise click.BadParameter(f"Name one of {', '.join(calendar_operations.ACTORS)}, such as Practitioner/1.")
    with database():
        ctx = tenant_context(slug)
        stored.get(ctx, kind, id_)
        link_id, url = calendar_operations.new_link(ctx, actor, names=names)
        ctx.db.commit()
    options.show({"id": link_id, "url": url}, as_json, f"id   {link_id}\nurl  {url}")


@calendar.command("list")
@options.tenant
@options.as_json
@options.data
def list_(slug: str, as_json: bool) -> None:
    """List the links, revoked ones too; their URLs are not known any more."""
    with database():
        ctx = tenant_context(slug)
        links = calendar_links.every(ctx.db, ctx.tenant.id)
        ctx.db.commit()
    rows = [
        {"id": each.id, "actor": each.actor, "names": each.names, "created": each.created, "revoked": each.revoked}
        for each in links
    ]
    lines = [
        f"{each.id}  {each.created}  {each.actor}{'  names' if each.names else ''}"
        f"{f'  revoked {each.revoked}' if each.revoked else ''}"
        for each in links
    ]
    options.show(rows, as_json, "\n".join(lines) or "There are no links to calendars.")


@calendar.command()
@click.argument("link_id", metavar="ID")
@options.tenant
@options.as_json
@options.data
def revoke(link_id: str, slug: str, as_json: bool) -> None:
    """End a link: its URL answers as if it had never been."""
    with database():
        ctx = tenant_context(slug)
        ended = ctx.db.run([calendar_links.revoke(ctx.tenant.id, link_id)])[0]
        ctx.db.commit()
    if not ended:
        raise NotFound("There is no such link that is good.")
    options.show({"id": link_id}, as_json, f"The link {link_id} is revoked.")


@calendar.command("check-times")
@options.tenant
@click.option("--apply", is_flag=True, help="Move the visits to where the clock says what was agreed.")
@options.as_json
@options.data
def check_times(slug: str, apply: bool, as_json: bool) -> None:
    """List the visits to come whose instant is not what was agreed by the clock, because a time zone changed its rules.

    Nothing is changed without --apply.
    """
    with database():
        ctx = tenant_context(slug)
        found = moved_times.moved(ctx)
        if apply:
            found = [moved_times.apply(ctx, each) for each in found]
        ctx.db.commit()
    rows = [
        {"appointment": each.appointment, "stored": each.stored, "agreed": each.agreed, "result": each.result}
        for each in found
    ]
    lines = [f"Appointment/{row['appointment']}  {row['stored']} -> {row['agreed']}  {row['result']}" for row in rows]
    options.show(rows, as_json, "\n".join(lines) or "Every visit to come stands where its clock says.")
