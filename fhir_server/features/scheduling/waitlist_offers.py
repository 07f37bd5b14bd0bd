"""Offers from the wait list: a pending Appointment that is held for one who waits, until he says yes or no or the time
for it is over."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import moment
from fhir_server.core.errors import Conflict, FhirError
from fhir_server.features.scheduling import booking, callers, offers, patients, slots
from fhir_server.features.scheduling.fields import (
    HOLD_EXPIRES,
    Resource,
    expiry,
    extension,
    instant,
    set_extension,
)
from fhir_server.features.scheduling.patients import Person
from fhir_server.features.scheduling.visit import Visit, check_bookable, proposed
from fhir_server.features.scheduling.waitlist_wishes import Free, Wish, wish_of
from fhir_server.features.scheduling.words import CANCELATION, cancelation
from fhir_server.interactions import stored
from fhir_server.interactions.changes import Changes
from fhir_server.interactions.claims import CLAIMING

LASTS = timedelta(minutes=30)
_SHORTEST = timedelta(minutes=2)
# Who has let so many offers pass without a word is not offered more: each costs a message, and holds time from others.
UNANSWERED = 3
_WAITING = 2000
# Offers that one pass makes, and times that it tries for one person.
_AT_ONCE, _TRIES = 50, 5
_FROM_WISH = ("appointmentType", "reasonCode", "reasonReference", "basedOn", "comment")
_EXPIRED = "offer-expired"


def fill(ctx: Context, only: str | None = None) -> list[str]:
    """Offer what is free to those who wait, each offer in a transaction of its own; the ids of the offers.

    Who has priority comes first, then who waits longest. Each gets the earliest time that fits and that he was not
    offered before; who has an open offer gets no other. What somebody else takes meanwhile is not offered: the next
    time is. `only`: the id of the one waiting Appointment that is meant.
    """
    rows = stored.find_rows(ctx, "Appointment", _waiting(only), limit=_WAITING)
    wishes = sorted((wish_of(ctx, rid, each) for rid, each in rows.items()), key=lambda wish: wish.turn)
    over = [wish for wish in wishes if wish.is_over(ctx.now)]
    for wish in over:
        _end_waiting(ctx, wish.id)
    wishes = [wish for wish in wishes if wish not in over]
    past = _offers_by_wish(ctx, [wish.id for wish in wishes])
    wishes = [wish for wish in wishes if wish.patients and _may_be_offered(ctx, past.get(wish.id, ()))]
    if not wishes:
        return []
    made: list[str] = []
    catalogue = offers.load(ctx)
    free = Free(ctx, catalogue, wishes)
    for wish in wishes:
        offer = _offer_first(ctx, free, wish, past.get(wish.id, ()))
        if offer is not None:
            made.append(offer)
            if len(made) == _AT_ONCE:
                break
            free = Free(ctx, catalogue, wishes)
    return made


def _waiting(only: str | None) -> list[tuple[str, str]]:
    return [("status", "waitlist"), *([("_id", only)] if only else [])]


def _offers_by_wish(ctx: Context, ids: Sequence[str]) -> dict[str, list[Resource]]:
    """All that was ever offered, by the id of the waiting Appointment."""
    found: dict[str, list[Resource]] = {}
    for at in range(0, len(ids), 50):
        names = ",".join(f"Appointment/{id_}" for id_ in ids[at : at + 50])
        for each in stored.find(ctx, "Appointment", [("supporting-info", names)]):
            for name in wish_names(ctx, each):
                found.setdefault(name.removeprefix("Appointment/"), []).append(each)
    return found


def wish_names(ctx: Context, offer: Mapping[str, Any]) -> list[str]:
    """`Appointment/id` of what an Appointment is an offer to; [] for one that is none."""
    named = [stored.local(ctx, each) or "" for each in offer.get("supportingInformation", ())]
    return [name for name in named if name.startswith("Appointment/")]


def _may_be_offered(ctx: Context, past: Sequence[Resource]) -> bool:
    """Whether there is no open offer, and not too many passed without a word."""
    if any(each["status"] in CLAIMING for each in past):
        return False
    return sum(_ended_by(each, _EXPIRED) for each in past) < UNANSWERED


def _ended_by(offer: Mapping[str, Any], code: str) -> bool:
    codings = offer.get("cancelationReason", {}).get("coding", ())
    return any(each.get("system") == CANCELATION and each.get("code") == code for each in codings)


def _offer_first(ctx: Context, free: Free, wish: Wish, past: Sequence[Resource]) -> str | None:
    """Offer the first free time that fits and that nobody takes meanwhile; the id of the offer."""
    before = _starts(past)
    for _, visit in zip(range(_TRIES), free.visits(wish, before), strict=False):
        expires = until(ctx, visit)
        if expires - ctx.now < _SHORTEST:
            continue
        try:
            with ctx.db.hold():
                offer = make(ctx, wish.id, visit, expires)
            ctx.db.commit()
        except FhirError:
            # Somebody else has it by now, or the patient comes to something else then: the next time.
            ctx.db.rollback()
            continue
        return offer
    return None


def offered_starts(ctx: Context, wish_id: str) -> frozenset[datetime]:
    """The times that were offered to one who waits."""
    return _starts(_offers_by_wish(ctx, [wish_id]).get(wish_id, ()))


def _starts(past: Sequence[Resource]) -> frozenset[datetime]:
    return frozenset(moment(each["start"]) for each in past if "start" in each)


def until(ctx: Context, visit: Visit) -> datetime:
    """Until when an offer can be answered: half an hour, but never into the service's minNotice."""
    return min(ctx.now + LASTS, visit.start - timedelta(minutes=visit.rules.min_notice))


def make(ctx: Context, wish_id: str, visit: Visit, expires: datetime) -> str | None:
    """Offer a visit to one who waits, inside the open transaction; the id of the offer, None when he does not wait any
    more or has an offer. Raises what booking the visit would raise."""
    unit = Changes(ctx)
    waiting = unit.lock("Appointment", wish_id)
    past = _offers_by_wish(ctx, [wish_id]).get(wish_id, ())
    if waiting["status"] != "waitlist" or not _may_be_offered(ctx, past):
        return None
    found = stored.by_name(ctx, [f"Patient/{id_}" for id_ in callers.patients_of(ctx, waiting)])
    people = [Person(name, patient) for name, patient in found.items()]
    callers.take_turns(ctx, booking.turns(visit, people))
    for person in people:
        check_bookable(ctx, visit, online=True, patient=person.resource, now=ctx.now)
    patients.check_free(ctx, people, visit)
    offer = _offered(waiting, visit, expires, ctx.now)
    offer["slot"] = slots.add(unit, visit, tentative=True)
    offer_id = unit.add(offer)
    unit.run()
    return offer_id


def _offered(waiting: Resource, visit: Visit, expires: datetime, now: datetime) -> Resource:
    base = {name: value for name, value in proposed(visit).items() if name not in ("id", "contained", "slot", "meta")}
    offer = base | {name: waiting[name] for name in _FROM_WISH if name in waiting}
    guests = [
        {**each, "status": "needs-action"}
        for each in waiting["participant"]
        if each.get("actor", {}).get("reference", "").rsplit("/", 2)[-2:][0] in ("Patient", "RelatedPerson")
    ]
    offer["status"] = "pending"
    offer["created"] = instant(now)
    offer["participant"] = [*guests, *base.get("participant", ())]
    own = {"reference": f"Appointment/{waiting['id']}"}
    offer["supportingInformation"] = [own, *waiting.get("supportingInformation", ())]
    set_extension(offer, HOLD_EXPIRES, {"valueInstant": instant(expires)})
    return offer


# -- how it ends -------------------------------------------------------------------------------------------------------


def end(ctx: Context, unit: Changes, offer: Resource, code: str) -> None:
    """Put the end of a locked offer that was not accepted among what is to be written. `code`: of our cancelation."""
    offer["status"] = "cancelled"
    offer["cancelationReason"] = cancelation(ctx, code)
    slots.remove(ctx, unit, offer)
    unit.put(offer)


def expire(ctx: Context, offer_id: str) -> bool:
    """End a hold whose time is over, in the open transaction; whether it was an offer."""
    unit = Changes(ctx)
    held = unit.lock("Appointment", offer_id)
    until = expiry(held)
    if held["status"] != "pending" or until is None or until > ctx.now:
        return False
    end(ctx, unit, held, _EXPIRED)
    unit.run()
    return bool(wish_names(ctx, held))


def end_waiting(ctx: Context, unit: Changes, wish_id: str, code: str) -> None:
    """Put the end of waiting among what is to be written. `code`: of our cancelation."""
    try:
        waiting = unit.lock("Appointment", wish_id)
    except FhirError:
        return
    if waiting["status"] == "waitlist":
        waiting["status"] = "cancelled"
        waiting["cancelationReason"] = cancelation(ctx, code)
        unit.put(waiting)


def _end_waiting(ctx: Context, wish_id: str) -> None:
    """End a wish whose time is over, in a transaction of its own."""
    try:
        with ctx.db.hold():
            unit = Changes(ctx)
            end_waiting(ctx, unit, wish_id, "waiting-over")
            unit.run()
        ctx.db.commit()
    except FhirError:
        ctx.db.rollback()


def check_open(ctx: Context, offer: Resource) -> list[str]:
    """The wishes of an offer that can be answered now. Raises `Conflict` (wrong-state, hold-expired)."""
    names = wish_names(ctx, offer)
    if offer["status"] != "pending" or not names or extension(offer, HOLD_EXPIRES) is None:
        raise Conflict(
            f"This is no open offer from the wait list: the Appointment is {offer['status']}.",
            expression="Appointment.status",
            detail="wrong-state",
        )
    until = expiry(offer)
    if until is None or until <= ctx.now:
        raise Conflict(
            "The time to answer this offer is over.", expression="Appointment.extension", detail="hold-expired"
        )
    return names
