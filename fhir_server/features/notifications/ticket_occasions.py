"""Occasions about tickets of waiting queues, from the tickets as they stand now."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.features.notifications import facts
from fhir_server.features.notifications.composing import Occasion
from fhir_server.features.notifications.kinds import kinds, lives_until, rules
from fhir_server.features.notifications.template_language import Value
from fhir_server.interactions import stored
from fhir_server.storage import tickets
from fhir_server.storage.tickets import Ticket

Resource = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATE_SYSTEM = "urn:salam:CodeSystem:ticket-state"
_TASK_KIND = "urn:salam:CodeSystem:task-kind"
# When a ticket is in such a state, others have come nearer to their turn.
_LEFT = frozenset({"called", "cancelled", "expired", "no-show", "transferred"})


def is_ticket(task: Resource) -> bool:
    """Whether a Task is a ticket of a queue."""
    codings = task.get("code", {}).get("coding", ())
    return any(coding.get("system") == _TASK_KIND and coding.get("code") == "queue-ticket" for coding in codings)


def state_of(task: Resource | None) -> str:
    """`waiting`, `called`, …; "" for none."""
    codings = (task or {}).get("businessStatus", {}).get("coding", ())
    return next((str(coding.get("code")) for coding in codings if coding.get("system") == STATE_SYSTEM), "")


def told(
    ctx: Context, rid: int, before: Resource | None, task: Resource, since: datetime
) -> Iterator[tuple[Occasion, str]]:
    """Occasions and the patient of each, `Patient/id`, for a ticket that changed.

    Tickets are told of as they stand now: who was called and is being served already need not be told to come.
    """
    ticket = tickets.one(ctx.db, ctx.tenant.id, rid)
    if ticket is None:
        return
    was, state = state_of(before), state_of(task)
    occasion = _of_ticket(ctx, ticket, task, since, was) if state == ticket.state else None
    if occasion is not None:
        yield from _with_patient(ctx, occasion, task)
    if was == "waiting" and state in _LEFT:
        yield from _soon(ctx, ticket, since)


def still_holds(ctx: Context, task: Resource, seeds: Mapping[str, str]) -> bool:
    """Whether what was to be told is still so."""
    ticket = tickets.by_task(ctx.db, ctx.tenant.id, task["id"])
    if ticket is None or ticket.state != seeds.get("state"):
        return False
    return "called" not in seeds or seeds["called"] == _call(ticket)


def ticket_occasion(
    ctx: Context, task: Resource, kind: str, distinct: str, seeds: Mapping[str, str], expires: datetime | None
) -> Occasion:
    """An occasion about a ticket."""
    about = f"Task/{task['id']}"
    values: dict[str, Value] = {"ticket": facts.ticket_number(task), "desk": _desk(task)}
    if "ahead" in seeds:
        values["ahead"] = int(seeds["ahead"])
    return Occasion(
        kind=kind,
        key=f"{kind}:{about}:{distinct}",
        about=about,
        version=task["meta"]["versionId"],
        facts=seeds,
        values=values,
        expires=expires,
    )


def _of_ticket(ctx: Context, ticket: Ticket, task: Resource, since: datetime, was: str) -> Occasion | None:
    """What to tell the holder of a ticket that came into its state."""
    if ticket.state == "waiting" and not was:
        seeds = {"state": "waiting", "ahead": str(_ahead(ctx, ticket))}
        return ticket_occasion(ctx, task, "ticket-taken", "", seeds, _expires("ticket-taken", since))
    if ticket.state == "called" and ticket.absent_until is None:
        # A recall is another call. The same call is told once, however often its Task changes.
        called = _call(ticket)
        seeds = {"state": "called", "called": called}
        return ticket_occasion(ctx, task, "ticket-called", called, seeds, _expires("ticket-called", since))
    if ticket.state == "no-show" and was != "no-show":
        return ticket_occasion(ctx, task, "ticket-no-show", "", {"state": "no-show"}, _expires("ticket-no-show", since))
    return None


def _soon(ctx: Context, left: Ticket, since: datetime) -> Iterator[tuple[Occasion, str]]:
    """Those who come next in the queue that somebody left."""
    near = _waiting(ctx, left)[: int(rules()["soon_places"])]
    tasks = stored.by_rid(ctx, [ticket.rid for ticket in near if ticket.patient is not None])
    for ahead, ticket in enumerate(near):
        task = tasks.get(ticket.rid)
        if task is not None:
            seeds = {"state": "waiting", "ahead": str(ahead)}
            # Whoever comes back late is told again.
            distinct = str(ticket.returns) if ticket.returns else ""
            occasion = ticket_occasion(ctx, task, "ticket-soon", distinct, seeds, _expires("ticket-soon", since))
            yield from _with_patient(ctx, occasion, task)


def _expires(kind: str, since: datetime) -> datetime | None:
    return lives_until(kinds()[kind], since, None)


def _with_patient(ctx: Context, occasion: Occasion, task: Resource) -> Iterator[tuple[Occasion, str]]:
    for name in facts.references([task.get("for", {})], ctx.base):
        if name.startswith("Patient/"):
            yield occasion, name


def _ahead(ctx: Context, ticket: Ticket) -> int:
    return sum(1 for other in _waiting(ctx, ticket) if _order(other) < _order(ticket))


def _waiting(ctx: Context, ticket: Ticket) -> list[Ticket]:
    """Who waits in the ticket's queue, in order. Paid kinds may still pass: a message only says that it is soon."""
    day = tickets.of_day(ctx.db, ctx.tenant.id, ticket.queue, ticket.day)
    return sorted((each for each in day if each.state == "waiting"), key=_order)


def _order(ticket: Ticket) -> tuple[int, datetime, int, int]:
    return ticket.rank, ticket.due, ticket.place, ticket.number


def _desk(task: Resource) -> str:
    outputs: Iterable[Resource] = task.get("output", ())
    return next((str(o.get("valueString", "")) for o in outputs if o.get("type", {}).get("text") == "desk"), "")


def _call(ticket: Ticket) -> str:
    """Names a call of a ticket: when it was called, and how often again since."""
    called = ticket.called_at or _EPOCH
    return f"{format_instant((called - _EPOCH) // timedelta(microseconds=1))}+{ticket.recalls}"
