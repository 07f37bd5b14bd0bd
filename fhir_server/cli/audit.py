"""fhir-server audit"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from fhir_server.cli import options
from fhir_server.conformance.registry import base_registry
from fhir_server.core.dates import format_instant, parse_range
from fhir_server.core.errors import Invalid
from fhir_server.rest.dispatch import session
from fhir_server.security import audit_key, audit_seal, audit_verify
from fhir_server.security.audit_events import by_number
from fhir_server.storage import audit_log, tenants
from fhir_server.storage.audit_log import Logged, Wanted
from fhir_server.storage.clock import first_seq, micros
from fhir_server.storage.session import Session
from fhir_server.supervisor.instance import database

T = TypeVar("T")


@click.group()
def audit() -> None:
    """Check and list the audit log of a tenant."""


@audit.command()
@options.tenant
@click.option("--seal/--no-seal", default=True, help="Seal what is waiting first.  [default: seal]")
@options.as_json
@options.data
def verify(slug: str, seal: bool, as_json: bool) -> int:
    """Check the chain of seals against the log and against audit-checkpoints.jsonl. Exit code 1 when it was changed."""
    with database():
        report = _in_tenant(slug, lambda db, tenant_id: _verified(db, tenant_id, seal))
    keys = [{"name": name, "public": public.hex()} for name, public in audit_key.public_keys().items()]
    found = {
        "ok": report.intact,
        "links": report.links,
        "events": report.events,
        "unsealed": report.unsealed,
        "checkpoints": report.checkpoints,
        "problems": report.problems,
        "keys": keys,
    }
    text = f"{report.events} events in {report.links} links, {report.unsealed} not sealed yet: "
    text += "the log is intact" if report.intact else "the log was CHANGED"
    text += "".join(f"\n  link {each['link']}: {each['kind']}. {each['text']}" for each in report.problems)
    options.show(found, as_json, text)
    return 0 if report.intact else 1


@audit.command("list")
@options.tenant
@click.option("--since", default="", help="Nothing before this FHIR date or time.")
@click.option("--event", "events", multiple=True, help="Only this event (several times: any of them).")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@options.as_json
@options.data
def listed(slug: str, since: str, events: Sequence[str], limit: int, as_json: bool) -> None:
    """Print the newest events. Details stay sealed; nobody is named but by id."""
    numbers = [number for number, kind in by_number().items() if kind.name in events] if events else None
    try:
        start = first_seq(parse_range(since)[0]) if since else None
    except ValueError:
        raise Invalid("--since takes a FHIR date or dateTime.") from None
    wanted = Wanted(since=start, events=numbers)
    with database():
        rows = _in_tenant(slug, lambda db, tenant_id: _listed(db, tenant_id, wanted, limit))
    found = [_told(row) for row in rows]
    lines = [
        f"{each['recorded']}  {each['event']:<18} {each['outcome']:>2}  {each['type'] or '-':<20}"
        f" {each['resources']:>4}  {each['agent'] or '-'}  {each['client'] or '-'}"
        for each in found
    ]
    options.show(found, as_json, "\n".join(lines))


def _in_tenant(slug: str, work: Callable[[Session, int], T]) -> T:
    db = session()
    state = tenants.find(db, slug)
    db.enter(state.tenant.id, None, state.registry_version)
    return work(db, state.tenant.id)


def _verified(db: Session, tenant_id: int, seal: bool) -> audit_verify.Report:
    while seal and audit_seal.seal(db, tenant_id):
        pass
    return audit_verify.verify(db, tenant_id)


def _listed(db: Session, tenant_id: int, wanted: Wanted, limit: int) -> list[Logged]:
    statement = audit_log.page(tenant_id, wanted, after=None, ascending=False, limit=limit)
    return [audit_log.logged(row) for row in db.run([statement], final=True, custom=True)[0]]


def _told(row: Logged) -> dict[str, Any]:
    return {
        "id": f"a-{row.xid}-{row.seq}",
        "recorded": format_instant(micros(row.seq)),
        "event": by_number()[row.event].name,
        "outcome": row.outcome,
        "type": base_registry().type_names.get(row.type_id or 0),
        "resources": len(row.rids),
        "agent": row.agent,
        "client": row.client_id,
        "purpose": row.purpose,
        "request": row.request_id,
    }
