"""fhir-server break-glass list|review"""

import click

from fhir_server.cli import options
from fhir_server.rest.dispatch import session
from fhir_server.security.break_glass import SEALED_FOR
from fhir_server.security.sealing import Unsealable, unseal
from fhir_server.storage import break_glass as openings
from fhir_server.storage import tenants
from fhir_server.storage.break_glass import Opening
from fhir_server.storage.session import Session
from fhir_server.supervisor.instance import database


@click.group()
def break_glass() -> None:
    """List and review emergency accesses to records."""


def _enter(slug: str) -> tuple[Session, int]:
    db = session()
    state = tenants.find(db, slug)
    db.enter(state.tenant.id, None, state.registry_version)
    return db, state.tenant.id


@break_glass.command("list")
@options.tenant
@click.option("--all", "reviewed", is_flag=True, help="Also those that were reviewed.")
@options.as_json
@options.data
def list_(slug: str, reviewed: bool, as_json: bool) -> None:
    """List the emergency accesses that wait for their review, oldest first."""
    with database():
        db, tenant_id = _enter(slug)
        found = [_shown(db, tenant_id, each) for each in openings.every(db, tenant_id, reviewed=reviewed)]
    lines = [
        f"{row['id']}  {row['started']}  {row['user']}  Patient/{row['patient']}  {row['purpose']}"
        f"{'  reviewed' if row['reviewed'] else ''}\n    {row['reason']}"
        for row in found
    ]
    options.show(found, as_json, "\n".join(lines) or "No emergency access waits for its review.")


def _shown(db: Session, tenant_id: int, opening: Opening) -> dict[str, str]:
    try:
        reason = unseal(db, tenant_id, opening.reason_sealed, SEALED_FOR).decode()
    except Unsealable:
        reason = "(its key was destroyed)"
    return {
        "id": opening.id,
        "user": opening.user,
        "patient": opening.patient,
        "purpose": opening.purpose,
        "reason": reason,
        "started": opening.started,
        "expires": opening.expires,
        "ended": opening.ended,
        "reviewed": opening.reviewed,
        "reviewed_by": opening.reviewed_by,
    }


@break_glass.command()
@click.argument("opening")
@options.tenant
@click.option("--by", required=True, help="Who reviewed it.")
@options.as_json
@options.data
def review(opening: str, slug: str, by: str, as_json: bool) -> None:
    """Note that an emergency access was reviewed."""
    with database():
        db, tenant_id = _enter(slug)
        rows = db.run([openings.review(tenant_id, opening, by)], final=True)[0]
    if not rows:
        raise click.ClickException("There is no such emergency access that waits for its review.")
    options.show({"id": opening, "reviewed_by": by}, as_json, f"Emergency access {opening} is reviewed.")
