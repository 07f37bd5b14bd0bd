"""The wait list: $join-waitlist, $accept, $refuse, $waitlist-offer (profiles/scheduling/operations/), and the work that
gives free time to those who wait."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, FhirError, NotFound, Unprocessable
from fhir_server.core.messages import FhirResponse
from fhir_server.events.feed import Change, Content, contents
from fhir_server.features.scheduling import callers, offers, targets, waitlist_offers
from fhir_server.features.scheduling.book import book
from fhir_server.features.scheduling.fields import Resource, instant
from fhir_server.features.scheduling.response import answer
from fhir_server.features.scheduling.waitlist_wishes import Free, Wish, fits, wish_of
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server, check_staff, is_staff, may_write
from fhir_server.interactions.changes import Changes
from fhir_server.interactions.claims import CLAIMING
from fhir_server.operations.call import OperationCall

_MOST = 5
_SERVERS = ("id", "meta", "contained", "slot", "start", "end", "created", "cancelationReason")
WATCHED = ("Appointment", "Slot", "Schedule", "HealthcareService", "PractitionerRole", "Location")
_PLACE = ("start", "end", "slot", "participant")
_TIME = ("start", "end", "schedule")
_FREE = ("free", "entered-in-error")
_EVERY = timedelta(minutes=1)
_AT_ONCE = 100


# -- operations --------------------------------------------------------------------------------------------------------


def join_waitlist(ctx: Context, call: OperationCall) -> FhirResponse:
    """Put somebody on the wait list: the waiting Appointment.

    Raises `Unprocessable` (not-bookable-online, or what is missing), `Conflict` (already-waiting; limit-reached) and
    `Forbidden`.
    """
    callers.check_may_book(ctx, {})
    waiting = _asked(ctx, call.parameters["appointment-resource"])
    may_write(ctx, waiting, "c")
    server = as_server(ctx)
    wish = wish_of(server, 0, {**waiting, "id": "new"})
    callers.take_turns(ctx, [f"waitlist/{id_}" for id_ in wish.patients])
    _check_offered(server, wish, online=not is_staff(ctx))
    _check_others(server, wish)
    unit = Changes(server)
    unit.add(waiting)
    return answer(ctx, unit.run())


def _asked(ctx: Context, sent: Resource) -> Resource:
    """The Appointment as it will wait: for whom, for what and when; what the server says is left out."""
    waiting = {name: value for name, value in sent.items() if name not in _SERVERS}
    if not is_staff(ctx):
        # Who is more urgent than others is for staff to say.
        waiting.pop("priority", None)
    waiting["status"], waiting["created"] = "waitlist", instant(ctx.now)
    participants = list(waiting.get("participant", ()))
    if not callers.patients_of(ctx, waiting):
        own = callers.default_patient(ctx)
        if own is None:
            raise Unprocessable(
                "Say who waits: a Patient among the participants.",
                expression="Appointment.participant",
                code="required",
            )
        participants.append({"actor": {"reference": f"Patient/{own}"}, "status": "accepted"})
    relative = callers.related_person(ctx)
    if relative and all(each.get("actor", {}).get("reference") != relative for each in participants):
        participants.append({"actor": {"reference": relative}, "status": "accepted"})
    waiting["participant"] = participants
    if not waiting.get("requestedPeriod"):
        raise Unprocessable(
            "Say when you could come: requestedPeriod, with a start, an end or both.",
            expression="Appointment.requestedPeriod",
            code="required",
        )
    return waiting


def _check_offered(ctx: Context, wish: Wish, *, online: bool) -> None:
    """Raise `Unprocessable` when what is waited for is nothing that could ever be offered."""
    fitting = [offer for offer in offers.load(ctx).offers() if fits(wish, offer)]
    if not fitting:
        raise Unprocessable(
            "No service here fits what is waited for: name a HealthcareService, a Practitioner, or both.",
            expression="Appointment.participant",
            code="business-rule",
        )
    if not any(offer.rules.online for offer in fitting):
        whose = "Book it by calling the clinic." if online else "Offers are made for services with onlineBooking only."
        raise Unprocessable(
            f"This service is not booked online. {whose}",
            expression="Appointment.participant",
            code="business-rule",
            detail="not-bookable-online",
        )


def _check_others(ctx: Context, wish: Wish) -> None:
    """Raise `Conflict` when a patient waits for the same already, or for too much."""
    for patient in wish.patients:
        rows = stored.find_rows(ctx, "Appointment", [("patient", f"Patient/{patient}"), ("status", "waitlist")])
        others = [wish_of(ctx, rid, each) for rid, each in rows.items()]
        if any(_same(each) == _same(wish) for each in others):
            raise Conflict(
                "The patient waits for this already.", expression="Appointment.participant", detail="already-waiting"
            )
        if len(others) >= _MOST:
            raise Conflict(
                f"The patient waits for {_MOST} visits already.",
                expression="Appointment.participant",
                detail="limit-reached",
            )


def _same(wish: Wish) -> tuple[Any, ...]:
    return wish.services, wish.types if not wish.services else None, wish.people, wish.places


def accept(ctx: Context, call: OperationCall) -> FhirResponse:
    """Accept an offer: it is booked like any other visit, and the waiting ends. Raises what $book raises, and
    `Conflict` (wrong-state, hold-expired)."""
    unit = Changes(as_server(ctx))
    wishes = waitlist_offers.check_open(ctx, targets.locked(ctx, unit, call))
    reference = call.parameters.get("appointment-reference") or {"reference": f"Appointment/{call.id}"}
    booked = book(ctx, OperationCall(call.operation, call.type, None, {"appointment-reference": reference}))
    offer = stored.get(ctx, "Appointment", _id_of(call))
    if offer["status"] == "booked":
        _end_waiting(as_server(ctx), wishes)
    return booked


def refuse(ctx: Context, call: OperationCall) -> FhirResponse:
    """Refuse an offer: its time is free for the next one. Who refuses goes on waiting, and is not offered it again."""
    unit = Changes(as_server(ctx))
    offer = targets.locked(ctx, unit, call)
    waitlist_offers.check_open(ctx, offer)
    waitlist_offers.end(ctx, unit, offer, "offer-refused")
    return answer(ctx, unit.run())


def waitlist_offer(ctx: Context, call: OperationCall) -> FhirResponse:
    """Offer the first free time that fits to one who waits, now: the offer. For staff. Raises `Conflict` (wrong-state)
    when he has an offer or does not wait, and `NotFound` when nothing that is free fits."""
    check_staff(ctx, "Appointment", "offer times from the wait list")
    server = as_server(ctx)
    rows = stored.find_rows(ctx, "Appointment", [("_id", call.id or "")])
    wishes = [wish_of(server, rid, each) for rid, each in rows.items() if each["status"] == "waitlist"]
    if not wishes:
        stored.get(ctx, "Appointment", call.id or "")
        raise _not_waiting()
    before = waitlist_offers.offered_starts(server, wishes[0].id)
    visit = next(Free(server, offers.load(server), wishes).visits(wishes[0], before), None)
    if visit is None:
        raise NotFound("No free time fits what is waited for.", code="not-found")
    made = waitlist_offers.make(server, wishes[0].id, visit, waitlist_offers.until(ctx, visit))
    if made is None:
        raise _not_waiting()
    return answer(ctx, {"Appointment": stored.get(ctx, "Appointment", made)})


def _not_waiting() -> Conflict:
    return Conflict(
        "This Appointment does not wait, or has an open offer.", expression="Appointment.status", detail="wrong-state"
    )


def _id_of(call: OperationCall) -> str:
    reference = call.parameters.get("appointment-reference", {}).get("reference", "")
    return call.id or str(reference).rsplit("/", 1)[-1]


def _end_waiting(ctx: Context, names: Sequence[str]) -> None:
    unit = Changes(ctx)
    for name in names:
        waitlist_offers.end_waiting(ctx, unit, name.removeprefix("Appointment/"), "booked-from-wait-list")
    unit.run()


# -- what happens by itself --------------------------------------------------------------------------------------------


class _Due:
    """Which tenants have free time that nobody looked at yet, as this process knows. What it does not know, because
    another process followed the change, is found a minute later."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._woken: set[int] = set()
        self._looked: dict[int, datetime] = {}

    def wake(self, tenant_id: int) -> None:
        with self._guard:
            self._woken.add(tenant_id)

    def take(self, tenant_id: int, now: datetime) -> bool:
        """Whether to look now."""
        with self._guard:
            looked = self._looked.get(tenant_id)
            due = tenant_id in self._woken or looked is None or not timedelta() <= now - looked < _EVERY
            if due:
                self._woken.discard(tenant_id)
                self._looked[tenant_id] = now
            return due


_due = _Due()


def follow(ctx: Context, changes: Sequence[Change]) -> None:
    """End the waiting of those whose offer is booked, by whichever way, and see whether time has become free."""
    type_ids = {ctx.registry.type_ids[name] for name in WATCHED}
    found = contents(ctx, [each for each in changes if each.type_id in type_ids]).values()
    for content in found:
        if content.type == "Appointment" and (content.after or {}).get("status") == "booked":
            _end_waiting(ctx, waitlist_offers.wish_names(ctx, content.after or {}))
    if any(map(_may_free, found)):
        _due.wake(ctx.tenant.id)


def _may_free(content: Content) -> bool:
    before, after = content.before or {}, content.after or {}
    if content.type == "Appointment":
        if after.get("status") == "waitlist":
            return True
        kept = after.get("status") in CLAIMING and all(before.get(name) == after.get(name) for name in _PLACE)
        return before.get("status") in CLAIMING and not kept
    if content.type == "Slot":
        kept = after.get("status", "free") not in _FREE and all(before.get(n) == after.get(n) for n in _TIME)
        return before.get("status", "free") not in _FREE and not kept
    return True


def tend(ctx: Context) -> None:
    """End offers whose time is over, and offer what is free. Holds that are no offers are ended too where they carry
    supportingInformation; the others are `hold.tend`'s."""
    pairs = [("status", "pending"), ("hold-expires", f"le{instant(ctx.now)}")]
    for each in stored.find(ctx, "Appointment", pairs, limit=_AT_ONCE):
        if each.get("supportingInformation") and _expired(ctx, each["id"]):
            _due.wake(ctx.tenant.id)
    ctx.db.commit()
    if _due.take(ctx.tenant.id, ctx.now):
        waitlist_offers.fill(ctx)
        ctx.db.commit()


def _expired(ctx: Context, offer_id: str) -> bool:
    try:
        with ctx.db.hold():
            was_offer = waitlist_offers.expire(ctx, offer_id)
        ctx.db.commit()
    except FhirError:
        # Deleted, or written by somebody at this moment: the next time.
        ctx.db.rollback()
        return False
    return was_offer
