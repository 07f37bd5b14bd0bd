"""fhir-server keys list|rotate|destroy"""

from typing import Any

import click

from fhir_server.cli import options
from fhir_server.core.errors import FhirError
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security import audit, key_ring, sealing, shred_list
from fhir_server.storage import data_keys, operator
from fhir_server.supervisor.instance import database


@click.group()
def keys() -> None:
    """The keys that encrypt second factors, mail, signing keys and details of the audit log."""


def _enter(slug: str) -> int:
    db = session()
    place = refresh(db, slug)
    db.enter(place.tenant.id, None, place.version)
    return place.tenant.id


@keys.command("list")
@options.tenant
@options.as_json
@options.data
def list_(slug: str, as_json: bool) -> None:
    """List a tenant's data keys, and which key of the server wraps each."""
    with database():
        rows = data_keys.listed(session(), _enter(slug))
    lines = [f"{row['key']:>6}  {row['status']:<9}  {row['created']}  wrapped by {row['wrapped_by']}" for row in rows]
    options.show(rows, as_json, "\n".join(lines) or "There is none yet.")


@keys.command()
@click.option("--tenant", "slug", metavar="SLUG", help="Give this tenant a new data key.")
@options.as_json
@options.data
def rotate(slug: str | None, as_json: bool) -> None:
    """Make a new key: the server's own, which then wraps every tenant's data keys, or with --tenant a data key."""
    with database():
        done = _rotate_tenant(slug) if slug else _rotate_server()
    if slug:
        options.show(done, as_json, f"Data key {done['key']} of {slug} seals from now on; older ones still open.")
        return
    lines = [f"The key {done['key']} wraps {done['rewrapped']} data keys now."]
    lines += [f"Left as they were: those of {name}." for name in done["left"]]
    options.show(done, as_json, "\n".join(lines))


def _rotate_tenant(slug: str) -> dict[str, Any]:
    tenant_id = _enter(slug)
    db = session()
    key_id = sealing.rotate(db, tenant_id)
    db.run([audit.note(db, tenant_id, "key-rotated", agent="operator", detail={"key": key_id})], final=True)
    return {"tenant": slug, "key": key_id}


def _rotate_server() -> dict[str, Any]:
    db = session()
    name = key_ring.add()
    count, left = 0, []
    for row in operator.list_tenants(db):
        try:
            tenant_id = _enter(row["slug"])
            number = sealing.rewrap(db, tenant_id)
            if number:
                detail = {"key": name, "data_keys": number}
                db.run([audit.note(db, tenant_id, "key-rotated", agent="operator", detail=detail)], final=True)
        except (FhirError, key_ring.MissingKey, sealing.Unsealable):
            # A suspended tenant, or one whose key was lost before: it keeps its old wrapping, the others go on.
            db.rollback()
            left.append(row["slug"])
        else:
            count += number
    return {"key": name, "rewrapped": count, "left": left}


@keys.command()
@options.tenant
@click.option("--confirm", required=True, metavar="SLUG", help="The tenant's slug once more.")
@options.as_json
@options.data
def destroy(slug: str, confirm: str, as_json: bool) -> None:
    """Destroy a tenant's data keys, and suspend it. What they sealed can never be read again."""
    if confirm != slug:
        raise click.UsageError("--confirm must be the tenant's slug.")
    with database():
        tenant_id = _enter(slug)
        db = session()
        highest = max((row["key"] for row in data_keys.listed(db, tenant_id)), default=0)
        # First outside of the database: a restored backup must not bring them back.
        shred_list.append({"tenant": slug, "keys": highest})
        # Without detail: that would be sealed by the key that goes.
        db.run([audit.note(db, tenant_id, "erasure", agent="operator")], final=True)
        count = sealing.destroy(db, tenant_id)
        operator.set_status(db, slug, "suspended")
    done = {"tenant": slug, "destroyed": count}
    options.show(done, as_json, f"{count} keys of {slug} are destroyed; it is suspended.")
