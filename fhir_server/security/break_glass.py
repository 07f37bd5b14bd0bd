"""Break-glass: a user opens one patient's record for some minutes, for reading, and others are told.

What is opened travels in `Principal.opened`; that it lifts consents and labels (never V, never writes) is said where
those are (`access`, `consent_node`). A second call while the record is open changes nothing.
"""

import json
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fhir_server.core.context import Context, User
from fhir_server.core.errors import Forbidden, NotFound, Unauthenticated
from fhir_server.security import audit, mailing
from fhir_server.security.consent_node import role_may
from fhir_server.security.roles import roles
from fhir_server.security.sealing import seal
from fhir_server.storage import access_tokens, break_glass
from fhir_server.storage.session import Statement

SEALED_FOR = "break-glass"
# How long ago the user may have signed in at most.
MOST_AGE_S = 900
_NOTICE = Path(__file__).resolve().parents[2] / "profiles" / "security" / "break_glass_notice.json"


@dataclass(frozen=True, slots=True)
class Opened:
    """A record that is open. `until`: seconds since 1970."""

    patient: str
    until: int


def check(ctx: Context) -> User:
    """The user, if break-glass is open to them. Raises `Forbidden` without the right, `Unauthenticated` (RFC 9470) when
    they have not signed in lately."""
    user = ctx.principal.user
    if user is None or not role_may(ctx.principal, "break-glass"):
        raise Forbidden("Only users whose role has the right break-glass may do this.")
    signed_in = ctx.principal.auth_time
    if signed_in is None or time.time() - signed_in > MOST_AGE_S:
        raise Unauthenticated(
            f"Sign in again: for this you must have signed in within the last {MOST_AGE_S // 60} minutes.",
            headers={
                "WWW-Authenticate": 'Bearer error="insufficient_user_authentication",'
                f' error_description="A more recent sign-in is needed", max_age="{MOST_AGE_S}"'
            },
        )
    return user


def open_record(ctx: Context, patient_id: str, *, reason: str, purpose: str, minutes: int) -> Opened:
    """Open a patient's record to the calling user; it counts with the next request. The caller commits.

    Raises what `check` raises, and `NotFound` when the tenant has no such patient.
    """
    user = check(ctx)
    for patient, until in ctx.principal.opened:
        if patient == patient_id and until > time.time():
            return Opened(patient, until)
    type_id = ctx.registry.type_ids["Patient"]
    rid = break_glass.patient(ctx.db, ctx.tenant.id, type_id, patient_id)
    if rid is None:
        raise NotFound(f"Patient/{patient_id} is not known here.")
    break_id = uuid.uuid4().hex
    sealed = seal(ctx.db, ctx.tenant.id, reason.encode(), SEALED_FOR)
    rows = ctx.db.run([
        break_glass.insert(ctx.tenant.id, break_id, user.id, patient_id, purpose, sealed, minutes),
        _noted(ctx, "break-glass", rid, purpose, {"break": break_id, "patient": patient_id, "reason": reason}),
        *_notices(ctx, break_id),
        # Last, so that the rows of the tokens are locked for the shortest time.
        access_tokens.raise_stamps(ctx.tenant.id, user.id),
    ])  # fmt: skip
    return Opened(patient_id, int(rows[0][0][0] or b"0"))


def end_record(ctx: Context, patient_id: str) -> bool:
    """Close a record that the calling user has open; whether there was one. The caller commits."""
    user = ctx.principal.user
    if user is None:
        raise Forbidden("Only a user can have opened a record.")
    ended = ctx.db.run([break_glass.end(ctx.tenant.id, user.id, patient_id)])[0]
    if not ended:
        return False
    rid = break_glass.patient(ctx.db, ctx.tenant.id, ctx.registry.type_ids["Patient"], patient_id)
    detail = {"break": (ended[0][0] or b"").decode(), "patient": patient_id}
    ctx.db.run([
        _noted(ctx, "break-glass-ended", rid, ctx.principal.purpose, detail),
        access_tokens.raise_stamps(ctx.tenant.id, user.id),
    ])  # fmt: skip
    return True


def _noted(ctx: Context, event: str, rid: int | None, purpose: str, detail: dict[str, Any]) -> Statement:
    who = ctx.principal
    return audit.note(
        ctx.db, ctx.tenant.id, event, agent=audit.agent_of(who), client_id=who.client_id, purpose=purpose,
        type_id=ctx.registry.type_ids["Patient"], rids=() if rid is None else (rid,), detail=detail,
    )  # fmt: skip


def _notices(ctx: Context, break_id: str) -> list[Statement]:
    """Letters to those who review. They name neither the patient nor the user."""
    names = [role.name for role in roles().values() if "review" in role.may]
    found = []
    for address, language in break_glass.reviewers(ctx.db, ctx.tenant.id, names):
        text = _texts().get(language or ctx.tenant.language, _texts()["fr"])
        values = {"clinic": ctx.tenant.name, "id": break_id}
        found.append(
            mailing.queue(ctx.db, ctx.tenant.id, address, text["subject"] % values, text["body"] % values + "\n")
        )
    return found


@lru_cache(maxsize=1)
def _texts() -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = json.loads(_NOTICE.read_text(encoding="utf-8"))
    return texts
