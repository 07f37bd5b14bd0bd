"""AuditEvent: read and search, from the audit log. There is no other way to one: it cannot be written.

Who may: an account whose role has the right `audit`; a system whose scopes name AuditEvent; a patient, or who acts for
him, about himself alone. Every look into the log is an event of the log.
https://hl7.org/fhir/R4/auditevent.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fhir_server.core.context import Context
from fhir_server.core.cursor import seal, unseal
from fhir_server.core.errors import Forbidden, NotFound, NotSupported
from fhir_server.core.keys import patient_key
from fhir_server.core.resource_json import decode, encode
from fhir_server.interactions.audit_query import Asked, Pairs, parse
from fhir_server.interactions.bundle import bundle, link
from fhir_server.security import audit, audit_seal, policy
from fhir_server.security.audit_events import SEALED_FOR
from fhir_server.security.audit_patients import patients_of
from fhir_server.security.audit_render import View, place_of, render
from fhir_server.security.roles import roles
from fhir_server.security.sealing import Unsealable
from fhir_server.security.sealing import unseal as opened
from fhir_server.storage import audit_log as log
from fhir_server.storage.audit_log import Logged, Wanted

TYPE = "AuditEvent"
# Batches that a search by patient seals before it looks, when the worker has not come round to it.
_CATCH_UP = 3


@dataclass(frozen=True, slots=True)
class Rights:
    """What of the log a caller may see. `own`: only what is about these patients (None: everything); `queries`: also
    what was asked for in searches."""

    own: frozenset[str] | None
    queries: bool


def rights(ctx: Context, letter: str) -> Rights:
    """What the caller may see of the log. Raises `Forbidden` when that is nothing."""
    who = ctx.principal
    given = [r for r in who.scopes.rights if letter in r.letters and r.type in ("*", TYPE) and not r.query]
    whole = any(right.context != "patient" for right in given)
    role = roles().get(who.user.role) if who.user else None
    if who.user is None and whole:
        # What people searched for is for the client that was given the log by name.
        return Rights(None, any(right.type == TYPE for right in given))
    if role is not None and "audit" in role.may and whole:
        return Rights(None, queries=True)
    own: set[str] = set()
    if given and (role is None or role.personal):
        own = set(who.user.patients) if who.user else {who.patient or ""}
        if not whole:
            own &= {who.patient or ""}
    if not own - {""}:
        raise Forbidden(
            "The audit log is for those whose role or client was given it, and for patients about themselves.",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )
    return Rights(frozenset(own), queries=False)


def read(ctx: Context, id_: str) -> bytes:
    """One AuditEvent as JSON text. Raises `NotFound`, also for one that the caller may not see."""
    policy.allow(ctx, "read", TYPE)
    may = rights(ctx, "r")
    place = place_of(id_)
    rows = _rows(ctx, Wanted(ids=[place], patients=_keys(may.own)), may.own, 1) if place else []
    if not rows:
        raise NotFound(f"{TYPE}/{id_} is not known here.")
    events = rendered(ctx, rows, may)
    ctx.db.run([audit.about(ctx, "read", resource_type=TYPE, detail={"what": f"{TYPE}/{id_}"})], final=True)
    return encode(events[0])


def search(ctx: Context, pairs: Pairs, *, compartment: tuple[str, str] | None = None, url: str = "") -> bytes:
    """A page of AuditEvents as a searchset Bundle, newest first unless asked otherwise.

    `compartment`: of a Patient (events about him) or a Practitioner (events of his account); `url`: the address
    searched, for the links. Raises `Invalid` or `NotSupported` for what cannot be asked for.
    """
    policy.allow(ctx, "search", TYPE)
    may = rights(ctx, "s")
    asked = parse(ctx, pairs)
    _within(asked, compartment)
    wanted = _wanted(ctx, asked, may)
    scope = f"{ctx.tenant.id}|{url}|{asked.kept}|{policy.visible_text(ctx, 's')}"
    after = unseal(ctx.cursor_key, scope, asked.cursor) if asked.cursor else None
    rows = [] if wanted is None else _rows(ctx, wanted, may.own, asked.count + 1, after, ascending=asked.ascending)
    page, more = rows[: asked.count], len(rows) > asked.count
    events = rendered(ctx, page, may)
    event = "search-compartment" if compartment else "search-type"
    detail = {"query": urlencode(pairs), "what": url.removeprefix(ctx.base).strip("/")}
    ctx.db.run([audit.about(ctx, event, resource_type=TYPE, detail=detail)], final=True)
    links = [link("self", _url(url, asked.kept))]
    if more:
        cursor = seal(ctx.cursor_key, scope, page[-1].seq)
        links.append(link("next", _url(url, [*asked.kept, ("_cursor", cursor)])))
    return bundle("searchset", [entry(ctx, each) for each in events], links=links)


def entry(ctx: Context, event: Mapping[str, Any]) -> bytes:
    """A Bundle.entry of a rendered event."""
    full_url = f"{ctx.base}/{TYPE}/{event['id']}"
    return encode({"fullUrl": full_url, "resource": event, "search": {"mode": "match"}})


def rows_of_patient(
    ctx: Context, patient: str, wanted: Wanted, after: int | None, limit: int
) -> list[Logged]:
    """Rows about one patient, newest first; the caller may see them."""
    return _rows(ctx, wanted, frozenset({patient}), limit, after)


def rendered(ctx: Context, rows: Sequence[Logged], may: Rights, *, language: str = "") -> list[dict[str, Any]]:
    """The AuditEvents of rows, as far as the caller may see what they show. `language`: fr or en, to tell
    them to a person, with names."""
    if not rows:
        return []
    rids = sorted({rid for row in rows for rid in row.rids})
    users = {part[5:] for row in rows for part in row.agent.split() if part.startswith("user:")}
    names = log.names(
        ctx.db, ctx.tenant.id, rids, [row.seq for row in rows], sorted(users), sorted({row.client_id for row in rows})
    )
    view = View(
        base=ctx.base,
        site=ctx.tenant.slug,
        names=names,
        type_names=ctx.registry.type_names,
        patients=patients_of(ctx.db, ctx.tenant.id, rids),
        own=may.own,
        detail={(row.xid, row.seq): _detail(ctx, row, may) for row in rows if row.sealed is not None},
        language=language,
    )
    return [render(row, view) for row in rows]


def _detail(ctx: Context, row: Logged, may: Rights) -> dict[str, Any]:
    """What was sealed, as far as the caller may see it; nothing when its key was destroyed."""
    try:
        detail: dict[str, Any] = decode(opened(ctx.db, ctx.tenant.id, row.sealed or b"", SEALED_FOR))
    except Unsealable:
        return {}
    if may.own is None and may.queries:
        return detail
    return {"patient": detail["patient"]} if "patient" in detail else {}


def _rows(
    ctx: Context,
    wanted: Wanted,
    own: frozenset[str] | None,
    limit: int,
    after: int | None = None,
    *,
    ascending: bool = False,
) -> list[Logged]:
    if wanted.patients is not None and not ctx.db.held:
        _catch_up(ctx)
    statement = log.page(ctx.tenant.id, wanted, after=after, ascending=ascending, limit=limit)
    return [log.logged(row) for row in ctx.db.run([statement], custom=True)[0]]


def _catch_up(ctx: Context) -> None:
    """Seal what waits, so that the newest events are found too. Without the key (a process that may not write to the
    data folder) only those are missing whose resources were deleted in the last seconds."""
    try:
        for _ in range(_CATCH_UP):
            if not audit_seal.seal(ctx.db, ctx.tenant.id):
                return
    except OSError:
        ctx.db.rollback()


def _within(asked: Asked, compartment: tuple[str, str] | None) -> None:
    if compartment is None:
        return
    kind, id_ = compartment
    if kind == "Patient":
        asked.patients = [id_] if asked.patients is None or id_ in asked.patients else []
    elif kind in ("Practitioner", "RelatedPerson"):
        asked.agents = [compartment] if asked.agents is None or compartment in asked.agents else []
    else:
        raise NotSupported(f"AuditEvents of the compartment {kind} cannot be searched here.")


def _wanted(ctx: Context, asked: Asked, may: Rights) -> Wanted | None:
    """The search as a condition on rows; None when nothing can meet it."""
    patients = asked.patients
    if may.own is not None:
        patients = sorted(may.own if patients is None else may.own.intersection(patients))
    users = None
    if asked.agents is not None:
        users = log.users_of(ctx.db, ctx.tenant.id, [f"{name}/{id_}" for name, id_ in asked.agents])
    shown = None
    for entities in asked.entities:
        ids = ctx.registry.type_ids
        found = log.rids_of(ctx.db, ctx.tenant.id, [(name, ids[name], id_) for name, id_ in entities])
        shown = found if shown is None else [rid for rid in shown if rid in found]
    if shown and may.own is not None:
        # Whose resource was shown beside one's own is nobody's business.
        whose = patients_of(ctx.db, ctx.tenant.id, shown)
        shown = [rid for rid in shown if may.own.intersection(whose.get(rid, ()))]
    if patients == [] or users == [] or shown == []:
        return None
    return Wanted(
        ids=asked.ids,
        since=asked.since or None,
        until=asked.until,
        events=asked.events,
        outcomes=asked.outcomes,
        users=users,
        shown=shown,
        patients=None if patients is None else _keys(patients),
    )


def _keys(patients: Sequence[str] | frozenset[str] | None) -> list[int] | None:
    return None if patients is None else [patient_key(each) for each in patients]


def _url(url: str, pairs: Pairs) -> str:
    return url + ("?" + urlencode(pairs, safe="/:,|", quote_via=quote) if pairs else "")
