"""The audit log: one row for each thing that happened, in the transaction in which it happened.

A row names nobody in clear: users, tokens and clients by their ids, resources by their numbers; everything else (the
query of a search, the reason of a denial) is sealed under a key of the tenant. AuditEvent resources are made of the
rows when they are read (`audit_render`). A request whose row cannot be written gets no answer.
https://profiles.ihe.net/ITI/BALP/
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fhir_server.core.context import Context, Principal
from fhir_server.core.resource_json import encode
from fhir_server.security.audit_events import MINOR, SEALED_FOR, SERIOUS, SUCCESS, kinds
from fhir_server.security.consent_node import opened_keys
from fhir_server.security.sealing import key_of, seal
from fhir_server.storage import audit, clock
from fhir_server.storage.session import Session, Statement

_WRITTEN = {"C": "create", "U": "update", "P": "patch", "D": "delete"}


class Written(Protocol):
    """A version that is being written, as `storage.versions.NewVersion` holds it."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def rid(self) -> int:
        """The resource's number."""

    @property
    def type_id(self) -> int:
        """The resource's type."""

    @property
    def method(self) -> str:
        """C, U, P or D."""


def note(
    db: Session,
    tenant_id: int,
    event: str,
    *,
    outcome: int = SUCCESS,
    agent: str = "",
    client_id: str = "",
    purpose: str = "",
    type_id: int | None = None,
    rids: Sequence[int] = (),
    request_id: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Statement:
    """The statement that appends an event to the log; run it in the transaction of what it tells about.

    `event`: a name of audit_events.json. `outcome`: 0 success, 4 refused or not found, 8 failed, 12 unusable.
    `agent`: `user:ID`, `token:ID`, or both with a space between. `rids`: the resources shown or written.
    `detail` is sealed: `query` (text), `what` (`Type/id` that was asked for), `patient` (id), `address`, `reason`, and
    the like.
    """
    entry = _noted(db, tenant_id, event, outcome, detail)
    entry.agent, entry.client_id, entry.purpose = agent, client_id, purpose
    entry.type_id, entry.rids, entry.request_id = type_id, rids, request_id
    return audit.insert(tenant_id, entry)


def agent_of(principal: Principal) -> str:
    """How the log names who asked: the user, if there is one, and the token."""
    principal = principal.acts_for or principal
    user = f"user:{principal.user.id}" if principal.user is not None else ""
    token = f"token:{principal.token_id}" if principal.token_id else ""
    return f"{user} {token}" if user and token else user or token


def about(
    ctx: Context,
    event: str,
    *,
    resource_type: str | None = None,
    rids: Sequence[int] = (),
    outcome: int = SUCCESS,
    detail: Mapping[str, Any] | None = None,
) -> Statement:
    """`note` for what a request does: on whose behalf is taken from its context."""
    return audit.insert(ctx.tenant.id, _entry(ctx, event, resource_type, rids, outcome, detail))


def written(ctx: Context, versions: Sequence[Written]) -> Statement:
    """The statement that logs versions, one event for each, under the version's own number: create, update, patch or
    delete. It goes with the statements that write them."""
    entry = _entry(ctx, "update", None, (), SUCCESS, None)
    numbers = kinds()
    if len(versions) == 1:
        one = versions[0]
        entry.seq, entry.event = one.seq, numbers[_WRITTEN[one.method]].number
        entry.type_id, entry.rids = one.type_id, (one.rid,)
        return audit.insert(ctx.tenant.id, entry)
    rows = [(v.seq, numbers[_WRITTEN[v.method]].number, v.type_id, v.rid) for v in versions]
    return audit.insert_many(ctx.tenant.id, entry, rows)


class Disclosure:
    """Logs a page of resources that is about to be shown.

    Call it with the page's statement, if one statement reads the whole page: it gives the statement to run instead.
    Where more than one reads it, run `apart(rids)` along with the last one, or give the rids of the others as `beside`.
    `done` says whether any of that has happened.

    `single`: the page has one row at most; `shown`: only so many of its rows are shown (None: all); `empty`: log even
    when there is no row (what ends in an error is logged as that, by `refused`); `absent`: SQL condition on a row that
    says: there is only a deletion.
    """

    def __init__(
        self,
        ctx: Context,
        event: str,
        resource_type: str | None,
        *,
        single: bool = False,
        shown: int | None = None,
        empty: bool = True,
        absent: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        self._ctx = ctx
        self._event = event
        self._type = resource_type
        self._single = single
        self._shown = shown
        self._empty = empty and not single
        self._absent = absent
        self._detail = detail
        self.done = False

    def __call__(self, page: Statement, beside: Sequence[int] = ()) -> Statement:
        db = self._ctx.db
        entry = _entry(self._ctx, self._event, self._type, (), SUCCESS, self._detail)
        self.done = True
        return audit.with_page(
            page,
            entry,
            single=self._single,
            shown=self._shown,
            empty=self._empty,
            absent=self._absent,
            # Where interactions do not share the transaction, only reads came before.
            lasting=db.held,
            beside=beside,
        )

    def apart(self, rids: Sequence[int]) -> Statement:
        """The statement that logs these resources as shown."""
        self.done = True
        ctx = self._ctx
        entry = _entry(ctx, self._event, self._type, rids, SUCCESS, self._detail)
        return audit.insert(ctx.tenant.id, entry, lasting=ctx.db.held)


def refused(
    db: Session,
    tenant_id: int,
    interaction: str,
    status: int,
    *,
    who: Principal | None = None,
    type_id: int | None = None,
    request_id: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Statement:
    """The statement that logs a request which failed; its own transaction is undone, so it runs in another one.

    `interaction`: of the route; what may not be done at all (401, 403, 429) is logged as `denied`.
    `detail`: `what` (the path), `query`, `address`.
    """
    denied = status in (401, 403, 429) or interaction not in kinds()
    entry = _noted(
        db,
        tenant_id,
        "denied" if denied else interaction,
        MINOR if status < 500 else SERIOUS,
        {**(detail or {}), "status": status, "interaction": interaction},
    )
    entry.type_id, entry.request_id = type_id, request_id
    if who is not None:
        entry.agent, entry.client_id, entry.purpose = agent_of(who), who.client_id, who.purpose
    return audit.insert(tenant_id, entry, lasting=db.held or db.open)


def _entry(
    ctx: Context,
    event: str,
    resource_type: str | None,
    rids: Sequence[int],
    outcome: int,
    detail: Mapping[str, Any] | None,
) -> audit.Entry:
    entry = _noted(ctx.db, ctx.tenant.id, event, outcome, detail)
    who = ctx.principal.acts_for or ctx.principal
    entry.type_id = None if resource_type is None else ctx.registry.type_ids.get(resource_type)
    entry.rids = rids
    # What is seen while a record is open by break-glass is seen for that purpose.
    purpose = "BTG" if who.opened and opened_keys(who) else who.purpose
    entry.agent, entry.client_id, entry.purpose = agent_of(who), who.client_id, purpose
    entry.request_id = ctx.request_id
    return entry


def _noted(
    db: Session, tenant_id: int, event: str, outcome: int, detail: Mapping[str, Any] | None
) -> audit.Entry:
    sealed = None if detail is None else seal(db, tenant_id, encode(dict(detail)), SEALED_FOR)
    key_id = 0 if sealed is None else key_of(sealed)
    return audit.Entry(clock.tick(), kinds()[event].number, outcome, None, (), "", "", "", "", key_id, sealed)
