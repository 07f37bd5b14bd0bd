"""fhir-server erase propose|approve|hold|release|list|replay"""

from typing import Any

import click

from fhir_server.cli import options
from fhir_server.features.notifications import preferences
from fhir_server.interactions import erasure
from fhir_server.rest.dispatch import session
from fhir_server.supervisor.instance import database


@click.group()
def erase() -> None:
    """Erase a patient's record for good: one person proposes it, another approves it."""


def _by(command: options.F) -> options.F:
    return click.option("--by", required=True, metavar="NAME", help="Who you are; the list and the audit log say so.")(
        command
    )


def _patient(command: options.F) -> options.F:
    return click.option("--patient", "patient_id", required=True, metavar="ID", help="Id of the Patient.")(command)


def _reason(command: options.F) -> options.F:
    return click.option("--reason", required=True, help="Why, without naming the patient.")(command)


@erase.command()
@options.tenant
@_patient
@_reason
@_by
@click.option("--despite-retention", default="", metavar="WHY", help="The order or law by which it may go already.")
@options.as_json
@options.data
def propose(slug: str, patient_id: str, reason: str, by: str, despite_retention: str, as_json: bool) -> None:
    """Propose to erase a record; tells what would go and what would stay."""
    with database():
        made = erasure.propose(session(), slug, patient_id, reason, by, despite=despite_retention)
    count = sum(made["resources"].values())
    text = f"{made['erasure']}: {count} resources would go, {len(made['shared'])} that others share would stay."
    options.show(made, as_json, text)


@erase.command()
@options.tenant
@click.argument("erasure_id")
@_by
@options.as_json
@options.data
def approve(slug: str, erasure_id: str, by: str, as_json: bool) -> None:
    """Erase what somebody else proposed. This cannot be undone."""
    with database():
        done = erasure.approve(session(), slug, erasure_id, by, preferences.forget_person)
    lines = [f"{done['deleted']} resources and {done['past_versions']} past versions are gone."]
    lines += [f"Left, because another patient's: {name}" for name in (*done["shared"], *done["mentioned"])]
    lines += [f"Disable this account: {user}" for user in done["accounts"]]
    options.show(done, as_json, "\n".join(lines))


@erase.command()
@options.tenant
@_patient
@_reason
@_by
@options.as_json
@options.data
def hold(slug: str, patient_id: str, reason: str, by: str, as_json: bool) -> None:
    """Forbid to erase a record (a legal hold); proposals for it are rejected."""
    with database():
        made = erasure.hold(session(), slug, patient_id, reason, by)
    options.show(made, as_json, f"{made['erasure']}: the record is held.")


@erase.command()
@options.tenant
@click.argument("erasure_id")
@_by
@options.as_json
@options.data
def release(slug: str, erasure_id: str, by: str, as_json: bool) -> None:
    """End a hold, or reject a proposal."""
    with database():
        made = erasure.release(session(), slug, erasure_id, by)
    options.show(made, as_json, f"{erasure_id}: rejected or released.")


@erase.command("list")
@options.tenant
@options.as_json
@options.data
def list_(slug: str, as_json: bool) -> None:
    """List erasures and holds. Records are named by numbers only."""
    with database():
        found = erasure.listed(session(), slug)
    rows: list[dict[str, Any]] = [
        {
            "erasure": row.erasure_id, "status": row.status, "proposed_by": row.proposed_by,
            "approved_by": row.approved_by, "reason": row.reason, "created": row.created_at, "done": row.done_at,
        }
        for row in found
    ]  # fmt: skip
    lines = [f"{row['erasure']:<20} {row['status']:<9} {row['created']}  {row['reason']}" for row in rows]
    options.show(rows, as_json, "\n".join(lines) or "There is none.")


@erase.command()
@options.tenant
@options.as_json
@options.data
def replay(slug: str, as_json: bool) -> None:
    """Erase again, after a backup was restored, what had been erased since it was taken."""
    with database():
        done = erasure.replay(session(), slug)
    text = f"{done['erasures']} erasures: {done['deleted']} resources and {done['keys']} keys destroyed again."
    options.show(done, as_json, text)
