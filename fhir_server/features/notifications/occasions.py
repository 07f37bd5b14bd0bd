"""Which changes are told to whom: the follower of the change feed, and the last look before a message is sent."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.events import feed
from fhir_server.events.feed import Change, Content
from fhir_server.features.notifications import (
    facts,
    happenings,
    outbox,
    recipients,
    reminders,
    ticket_occasions,
    visit_occasions,
)
from fhir_server.features.notifications.composing import Occasion, Writer
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.happenings import Happening
from fhir_server.features.notifications.kinds import kinds
from fhir_server.features.notifications.recipients import Recipient, ways
from fhir_server.interactions import stored
from fhir_server.storage import clock

Resource = Mapping[str, Any]


def follow(ctx: Context, changes: Sequence[Change]) -> None:
    """Make drafts of what changed, and plan reminders. Within the open transaction; the same change told again makes
    nothing new."""
    wanted = {ctx.registry.type_ids[name] for name in ("Appointment", "Task")}
    changed = feed.contents(ctx, [change for change in changes if change.type_id in wanted])
    writer, replan = Writer(ctx), []
    told: list[Happening] = []
    for change, content in changed.items():
        if content.type == "Task":
            _follow_ticket(ctx, change, content, writer)
        else:
            since = _time_of(change)
            told += happenings.of_appointment(content.before, content.after, ctx.now, ctx.base, since)
            if happenings.matters_to_reminders(content.before, content.after, ctx.base):
                replan.append(content.id)
    for happening in happenings.joined(told):
        _tell_of_visit(ctx, happening, writer)
    reminders.replan(ctx, replan)


def still_wanted(ctx: Context, draft: Draft) -> Draft | None:
    """The draft as it is to be sent now, with text and address of this moment; `not_before` may lie in the future. None
    when it is not wanted any more: what it tells is not so, it is too late, or the person does not want it."""
    found = _again(ctx, draft)
    if found is None:
        return None
    occasion, who, writer = found
    open_ways = dict(ways(who, kinds()[occasion.kind], writer.options, occasion.order))
    if draft.channel not in open_ways:
        return None
    return writer.through(occasion, who, draft.channel, open_ways[draft.channel])


def on_another_channel(ctx: Context, draft: Draft, tried: Collection[str]) -> Draft | None:
    """The same for the next best channel, when `tried` ones did not work; None when there is no other."""
    found = _again(ctx, draft)
    if found is None:
        return None
    occasion, who, writer = found
    return writer.draft(occasion, who, {draft.channel, *tried})


def _tell_of_visit(ctx: Context, happening: Happening, writer: Writer) -> None:
    staff = happening.kind == "staff-change"
    people = (recipients.of_staff if staff else recipients.of_people)(ctx, happening.people)
    if people:
        _tell(ctx, writer, visit_occasions.told(ctx, happening), people)


def _follow_ticket(ctx: Context, change: Change, content: Content, writer: Writer) -> None:
    if content.after is None or not ticket_occasions.is_ticket(content.after):
        return
    for occasion, patient in ticket_occasions.told(ctx, change.rid, content.before, content.after, _time_of(change)):
        _tell(ctx, writer, occasion, recipients.of_people(ctx, [patient]))


def _tell(ctx: Context, writer: Writer, occasion: Occasion, people: Sequence[Recipient]) -> None:
    for draft in writer.drafts(occasion, people):
        outbox.enqueue(ctx, draft)


def _again(ctx: Context, draft: Draft) -> tuple[Occasion, Recipient, Writer] | None:
    """The occasion of a draft and its person as they are now; None when there is nothing to tell any more."""
    if draft.expires_at is not None and draft.expires_at <= ctx.now:
        return None
    read = stored.by_name(ctx, [name for name in (draft.about, draft.recipient, draft.based_on) if name])
    about, person, request = read.get(draft.about), read.get(draft.recipient), read.get(draft.based_on)
    if about is None or person is None or not facts.may_be_told(person, ctx.now):
        return None
    if draft.based_on and (request is None or request.get("status") != "completed"):
        return None
    distinct = draft.occasion.removeprefix(f"{draft.kind}:{draft.about}:").removesuffix(f":{draft.recipient}")
    occasion = _renewed(ctx, draft, about, distinct)
    if occasion is None or not _takes_part(ctx, draft, about):
        return None
    return occasion, recipients.recipient(ctx, draft.recipient, person), Writer(ctx)


def _takes_part(ctx: Context, draft: Draft, about: Resource) -> bool:
    """Whether the person is still one of those who are told; who is told of having been taken out is not."""
    if about["resourceType"] == "Task":
        names = list(facts.references([about.get("for", {})], ctx.base))
    elif draft.kind == "staff-change" or "was" in draft.facts:
        return True
    else:
        names = facts.people_of(about, ctx.base)
    return any(who.name == draft.recipient for who in recipients.of_people(ctx, names))


def _renewed(ctx: Context, draft: Draft, about: Resource, distinct: str) -> Occasion | None:
    if about["resourceType"] == "Task":
        if not ticket_occasions.still_holds(ctx, about, draft.facts):
            return None
        return ticket_occasions.ticket_occasion(ctx, about, draft.kind, distinct, draft.facts, draft.expires_at)
    if not visit_occasions.still_holds(about, draft.facts):
        return None
    span = draft.facts.get("span")
    return visit_occasions.visit_occasion(
        ctx,
        about,
        draft.kind,
        distinct=distinct,
        seeds=draft.facts,
        expires=draft.expires_at,
        based_on=draft.based_on,
        before=timedelta(minutes=int(span)) if span else None,
    )


def _time_of(change: Change) -> datetime:
    return datetime.fromtimestamp(clock.micros(change.seq) / 1_000_000, UTC)

