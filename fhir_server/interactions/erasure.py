"""Erasing a patient's record for good: proposed by one person, approved by another, never by the server itself.

What goes: every resource of the patient's compartment with all versions, index rows and change rows. What stays: the
erasure's own row and the audit log, which name the patient by a number; resources that are in another patient's
compartment too, which are reported for somebody to edit; references from other resources, which lead nowhere then.
docs/howto/hardening.md says what this cannot reach (backups, documents that hold copies).
"""

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.core.context import Context
from fhir_server.core.dates import MIN_US
from fhir_server.core.errors import Conflict, Forbidden, NotFound, Unprocessable
from fhir_server.core.keys import patient_key
from fhir_server.core.resource_json import decode
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.retention import Verdict, day_of, judge
from fhir_server.interactions.worlds import World, refresh
from fhir_server.security import audit, sealing, shred_list
from fhir_server.storage import clock, erasures
from fhir_server.storage.erasures import Erasure, Member
from fhir_server.storage.errors import DefinitionsChanged, SerializationFailure
from fhir_server.storage.session import Session

_BATCH = 100
_PATIENT = re.compile(r'"(?:[^"\\]*/)?Patient/([A-Za-z0-9\-.]{1,64})(?:/_history/[^"]*)?"')
# The log of who saw what is not part of the record.
_KEPT_TYPES = frozenset({"AuditEvent"})


@dataclass(slots=True)
class Record:
    """A patient's record as it stands: resources that only it holds, and (as `Type/id`) those that others hold too."""

    patient: Member | None = None
    own: list[Member] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    last_seen_us: int = MIN_US

    @property
    def patient_id(self) -> str | None:
        """The patient's id, as long as there is a Patient resource."""
        return self.patient.id if self.patient else None


def record_of(db: Session, place: World, patient: int) -> Record:
    """The record of a patient, by `core.keys.patient_key`."""
    types = place.registry.type_names
    found = Record()
    entered_us = MIN_US
    for member in _members(db, place, patient):
        name = types[member.type_id]
        if name in _KEPT_TYPES:
            continue
        if name == "Patient" and patient_key(member.id) == patient:
            found.patient = member
            found.own.append(member)
        elif name == "Patient" or _of_others(member, patient):
            found.shared.append(f"{name}/{member.id}")
        else:
            found.own.append(member)
        # A resource without a date of its own has the time at which it came here.
        if member.ts != clock.micros(member.rid):
            found.last_seen_us = max(found.last_seen_us, member.ts)
        entered_us = max(entered_us, member.last_updated)
    if found.last_seen_us == MIN_US:
        found.last_seen_us = entered_us
    return found


def propose(db: Session, slug: str, patient_id: str, reason: str, by: str, *, despite: str = "") -> dict[str, Any]:
    """Ask for a patient's record to be erased; the erasure and what it would do.

    Raises `NotFound` for no such patient, `Forbidden` while the record must be kept (unless `despite` names the order
    or law that says otherwise) or a hold is on it, `Conflict` when it is proposed already.
    """
    place = _enter(db, slug)
    key = patient_key(patient_id)
    record = record_of(db, place, key)
    if record.patient is None:
        raise NotFound(f"There is no Patient/{patient_id}.")
    for known in erasures.listed(db, place.tenant.id):
        if known.patient == key and known.status == "held":
            raise Forbidden(f"A hold is on this record ({known.erasure_id}).")
        if known.patient == key and known.status == "proposed":
            raise Conflict(f"This is proposed already ({known.erasure_id}).")
    verdict = _verdict(db, place, record)
    if not verdict.allows(_today()) and not despite:
        rule = f"{verdict.country}, {verdict.certainty}: {verdict.source}"
        raise Forbidden(f"The record must be kept until {verdict.earliest} ({rule})")
    if despite:
        reason = f"{reason} [before {verdict.earliest}: {despite}]"
    erasure_id = f"{_today():%Y%m%d}-{secrets.token_hex(4)}"
    db.run(
        [erasures.add(place.tenant.id, erasure_id, key, _said(reason, "reason"), _said(by, "name"), "proposed")],
        final=True,
    )
    return {"erasure": erasure_id, "status": "proposed", **_described(place.registry, record), "retention": {
        "earliest": str(verdict.earliest), "country": verdict.country, "certainty": verdict.certainty}}  # fmt: skip


def approve(
    db: Session, slug: str, erasure_id: str, by: str, forget: Callable[[Context, str], None] | None = None
) -> dict[str, Any]:
    """Erase what was proposed; what was deleted. May be called again by the same person after an interruption.

    `forget` is told the patient's `Type/id`: it makes features forget what they know beside the record. Raises
    `NotFound`, `Forbidden` for the person who proposed it, `Conflict` when it is held, rejected or done.
    """
    place = _enter(db, slug)
    erasure = _find(db, place, erasure_id)
    if _same(erasure.proposed_by, _said(by, "name")):
        raise Forbidden("Somebody else than who proposed the erasure has to approve it.")
    if erasure.approved_by and not _same(erasure.approved_by, by):
        raise Forbidden(f"{erasure.approved_by} approved it already; the same person may go on.")
    rows = db.run([erasures.move(place.tenant.id, erasure_id, "proposed", "proposed", by)], final=True)[0]
    if not rows:
        raise Conflict(f"The erasure is {erasure.status}.")
    done, patient_id = _erase(db, place, erasure.patient)
    # The list outside of the database first: what it names may be erased twice, but must not be missed.
    shred_list.append({"tenant": slug, "erasure": erasure_id, "patient": erasure.patient})
    detail: dict[str, Any] = {"reason": erasure.reason, "deleted": done["deleted"], "by": [erasure.proposed_by, by]}
    if patient_id is not None:
        detail["patient"] = patient_id
        if forget is not None:
            ctx = server_context(db, place)
            with db.hold():
                forget(ctx, f"Patient/{patient_id}")
    statement = audit.note(db, place.tenant.id, "erasure", agent="operator", detail=detail)
    db.run([erasures.move(place.tenant.id, erasure_id, "proposed", "done"), statement], final=True)
    return {"erasure": erasure_id, "status": "done", **done}


def hold(db: Session, slug: str, patient_id: str, reason: str, by: str) -> dict[str, Any]:
    """Forbid to erase a patient's record, also what is proposed, until `release`."""
    place = _enter(db, slug)
    key = patient_key(patient_id)
    statements = [
        erasures.move(place.tenant.id, known.erasure_id, "proposed", "rejected")
        for known in erasures.listed(db, place.tenant.id)
        if known.patient == key and known.status == "proposed"
    ]
    erasure_id = f"{_today():%Y%m%d}-{secrets.token_hex(4)}"
    add = erasures.add(place.tenant.id, erasure_id, key, _said(reason, "reason"), _said(by, "name"), "held")
    db.run([*statements, add], final=True)
    return {"erasure": erasure_id, "status": "held"}


def release(db: Session, slug: str, erasure_id: str, by: str) -> dict[str, Any]:
    """End a hold, or take a proposal back. Raises `NotFound` and `Conflict`."""
    place = _enter(db, slug)
    erasure = _find(db, place, erasure_id)
    if erasure.status not in ("held", "proposed"):
        raise Conflict(f"The erasure is {erasure.status}.")
    move = erasures.move(place.tenant.id, erasure_id, erasure.status, "rejected", _said(by, "name"))
    db.run([move], final=True)
    return {"erasure": erasure_id, "status": "rejected"}


def listed(db: Session, slug: str) -> list[Erasure]:
    """Every erasure and hold of the tenant."""
    return erasures.listed(db, _enter(db, slug).tenant.id)


def replay(db: Session, slug: str) -> dict[str, Any]:
    """Erase again whatever was erased before a backup was taken back: what the list in the database names, and what
    the file beside the secret key names. Before the tenant is served."""
    place = _enter(db, slug)
    tenant_id = place.tenant.id
    known = {each.erasure_id: each.patient for each in erasures.listed(db, tenant_id) if each.status == "done"}
    deleted = keys = 0
    for entry in shred_list.entries(slug):
        if "keys" in entry:
            keys += sealing.destroy(db, tenant_id, upto=entry["keys"])
        elif entry["erasure"] not in known:
            known[entry["erasure"]] = entry["patient"]
            add = erasures.add(tenant_id, entry["erasure"], entry["patient"], "replayed", "replay", "done", "replay")
            back = erasures.move(tenant_id, entry["erasure"], "proposed", "done")
            db.run([add, back], final=True)
    for patient in set(known.values()):
        done, _ = _erase(db, place, patient)
        deleted += done["deleted"]
    return {"erasures": len(known), "deleted": deleted, "keys": keys}


def _erase(db: Session, place: World, patient: int) -> tuple[dict[str, Any], str | None]:
    """Delete a record in batches; what was done, and the patient's id if it is known. The Patient goes last, so that an
    interrupted erasure can find the rest again; what others wrote meanwhile goes in a second round."""
    tenant_id = place.tenant.id
    record = record_of(db, place, patient)
    versions, left = _stray_versions(db, place, record)
    for batch in _batches(versions):
        _again(db, place, lambda batch=batch: erasures.delete_versions(db, tenant_id, batch))
    rids = [member.rid for member in record.own if member is not record.patient]
    for batch in _batches(rids):
        _again(db, place, lambda batch=batch: erasures.delete(db, tenant_id, batch))
    accounts: list[str] = []
    if record.patient is not None:
        last = [record.patient.rid]
        _again(db, place, lambda: erasures.delete(db, tenant_id, last))
        db.enter(tenant_id, None, place.version)
        accounts = erasures.accounts(db, tenant_id, record.patient.id)
    late = [member.rid for member in record_of(db, place, patient).own] if record.own else []
    for batch in _batches(late):
        _again(db, place, lambda batch=batch: erasures.delete(db, tenant_id, batch))
    done = {
        "deleted": len(record.own) + len(late), "past_versions": len(versions), "shared": record.shared,
        "mentioned": left, "accounts": accounts,
    }  # fmt: skip
    return done, record.patient_id


def _stray_versions(db: Session, place: World, record: Record) -> tuple[list[tuple[int, int]], list[str]]:
    """Superseded versions that name the patient, of resources that are somebody else's by now: those that name no other
    patient go, the others are told."""
    if record.patient_id is None:
        return [], []
    mine = {member.rid for member in record.own}
    gone: list[tuple[int, int]] = []
    left: list[str] = []
    after: tuple[int, int] | None = (0, 0)
    while after is not None:
        db.enter(place.tenant.id, None, place.version)
        found, after = erasures.past(db, place.tenant.id, f'Patient/{record.patient_id}"', after)
        for rid, version, text in found:
            if rid in mine:
                continue
            if set(_PATIENT.findall(text)) == {record.patient_id}:
                gone.append((rid, version))
            else:
                left.append(f"{_name(text)}/_history/{version}")
    return gone, left


def _name(text: str) -> str:
    resource = decode(text) if text else {}
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"


def _members(db: Session, place: World, patient: int) -> Iterator[Member]:
    after: int | None = 0
    while after is not None:
        db.enter(place.tenant.id, None, place.version)
        found, after = erasures.members(db, place.tenant.id, patient, after)
        yield from found


def _of_others(member: Member, patient: int) -> bool:
    """Whether the resource is in another patient's compartment as well."""
    others = {patient_key(each) for each in _PATIENT.findall(member.text)} - {patient}
    return bool(others & member.keys)


def _verdict(db: Session, place: World, record: Record) -> Verdict:
    assert record.patient is not None
    resource = {} if record.patient.deleted or not record.patient.text else decode(record.patient.text)
    country, years = erasures.place_of(db, place.tenant.id)
    return judge(
        country,
        years,
        born=day_of(resource.get("birthDate"), last=True),
        died=day_of(resource.get("deceasedDateTime"), last=True),
        last_seen=min(_today(), datetime.fromtimestamp(max(0, record.last_seen_us) / 1e6, UTC).date()),
    )


def _described(registry: Registry, record: Record) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for member in record.own:
        name = registry.type_names[member.type_id]
        counts[name] = counts.get(name, 0) + 1
    return {"resources": dict(sorted(counts.items())), "shared": record.shared}


def _find(db: Session, place: World, erasure_id: str) -> Erasure:
    for known in erasures.listed(db, place.tenant.id):
        if known.erasure_id == erasure_id:
            return known
    raise NotFound(f"There is no erasure {erasure_id}.")


def _enter(db: Session, slug: str) -> World:
    place = refresh(db, slug)
    db.enter(place.tenant.id, None, place.version)
    return place


def _again(db: Session, place: World, work: Any) -> None:
    """Do a piece of work in a transaction of its own, again when somebody collides with it."""
    for attempt in range(10):
        state = place if attempt == 0 else refresh(db, place.tenant.slug)
        db.enter(place.tenant.id, None, state.version)
        try:
            work()
            return
        except (DefinitionsChanged, SerializationFailure):
            db.rollback()
    raise Conflict("Others keep changing this record. Try again.")


def _batches(things: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(things), _BATCH):
        yield things[start : start + _BATCH]


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _said(text: str, what: str) -> str:
    if not text.strip() or len(text) > 500 or not text.isprintable():
        raise Unprocessable(f"The {what} must be some text of one line.")
    return text.strip()


def _today() -> date:
    return datetime.now(UTC).date()
