"""Appointment/$find: which times are free, as proposed Appointments that can be held or booked.

https://profiles.ihe.net/ITI/Scheduling/OperationDefinition-appointment-find.html (IHE ITI Scheduling 1.0)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from fhir_server.core.context import Context
from fhir_server.core.errors import Forbidden, Issue, outcome
from fhir_server.features.scheduling import criteria as asked
from fhir_server.features.scheduling.bookable import is_eligible
from fhir_server.features.scheduling.criteria import Criteria, own_time
from fhir_server.features.scheduling.fields import instant
from fhir_server.features.scheduling.free import FreeTime, Question
from fhir_server.features.scheduling.hours import DAY, minutes_of, moment_of
from fhir_server.features.scheduling.offers import Catalogue, Offer, load
from fhir_server.features.scheduling.visit import at, proposed
from fhir_server.interactions.acting import is_staff
from fhir_server.interactions.stored import local
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.security import policy

_SEEN_BY = ("Schedule", "Slot", "Appointment")


def find(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """A searchset of proposed Appointments, the soonest first, then by preference and the least loaded.

    `total` counts all that are free; `_count` (50, at most 1,000) limits the entries. Callers who are not staff are
    offered what can be booked online. An OperationOutcome says why there is nothing, or what was left out. Raises
    `Invalid` and `Unprocessable` for parameters, `TooCostly` for more than 62 days, `Forbidden`.
    """
    _allow(ctx)
    wanted = asked.criteria(ctx, call.parameters, call.extra)
    now, online = minutes_of(ctx.now), not is_staff(ctx)
    catalogue = load(ctx, [name for name in wanted.practitioners if not name.endswith("/")])
    fitting, notes = _fitting(ctx, catalogue, wanted, online)
    lo = max(wanted.lo, now)
    found: list[_Found] = []
    if fitting and lo < wanted.hi:
        free = FreeTime(ctx, [offer for _, offer in fitting], _question(ctx, wanted, lo, now, online))
        found = [_Found(free, offer, rank, free.starts(offer)) for rank, offer in fitting]
    if not any(each.starts for each in found):
        notes += _why_nothing(fitting, wanted, lo, now, online)
    entries = [_entry(ctx, resource) for resource in _proposals(found, wanted)]
    notes = [*wanted.notes, *notes, *catalogue.broken]
    if notes:
        entries.append({"resource": outcome(notes), "search": {"mode": "outcome"}})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    bundle["total"] = sum(len(each.starts) for each in found)
    bundle["link"] = [{"relation": "self", "url": f"{ctx.base}/{call.path}?{_query(call, wanted)}"}]
    return {**bundle, "entry": entries} if entries else bundle


def _query(call: OperationCall, wanted: Criteria) -> str:
    """The parameters that were used, as far as a URL can say them: without resources, and what has no text."""
    pairs = []
    for name, given in call.parameters.items():
        for each in given if isinstance(given, list) else [given]:
            text = each.get("reference") if isinstance(each, Mapping) else each
            if text is not None:
                pairs.append((name, str(text)))
    return urlencode([*pairs, ("_count", str(wanted.count))], safe="/:,|")


def _allow(ctx: Context) -> None:
    if not any(policy.access(ctx).rule(name, "s") for name in _SEEN_BY):
        raise Forbidden(f"The token's scopes do not allow to search {', '.join(_SEEN_BY)}: one of them is needed.")


def _question(ctx: Context, wanted: Criteria, lo: int, now: int, online: bool) -> Question:
    barred = own_time(ctx, wanted.patients, lo, wanted.hi)
    return Question(lo, wanted.hi, now, online, wanted.timing, barred)


def _fitting(
    ctx: Context, catalogue: Catalogue, wanted: Criteria, online: bool
) -> tuple[list[tuple[tuple[int, ...], Offer]], list[Issue]]:
    """The offers that fit what is asked, with their ranks; and what is to be said about the others."""
    found, notes = [], []
    offline = ineligible = 0
    for offer in catalogue.offers():
        rank = wanted.rank(offer, _names(ctx, offer))
        if rank is None:
            continue
        if online and (offer.service is None or not offer.rules.online):
            offline += 1
        elif not all(is_eligible(ctx, offer, patient) for patient in wanted.patients):
            ineligible += 1
        else:
            found.append((rank, offer))
    if offline:
        notes.append(_note("Some services cannot be booked online. Please call the clinic.", "not-bookable-online"))
    if ineligible:
        notes.append(_note("The patient does not meet the conditions of some services.", "not-eligible"))
    return found, notes


def _names(ctx: Context, offer: Offer) -> Mapping[str, str | None]:
    actors = [local(ctx, each) or "" for each in offer.actors]
    place = offer.location or {}
    return {
        "practitioner": next((name for name in actors if name.startswith("Practitioner/")), None),
        "location": f"Location/{place['id']}" if place else None,
        "provider": local(ctx, (offer.service or {}).get("providedBy")),
        "employer": local(ctx, (offer.role or {}).get("organization")),
        "owner": local(ctx, place.get("managingOrganization")),
    }


@dataclass(frozen=True, slots=True)
class _Found:
    """The free starts of an offer."""

    free: FreeTime
    offer: Offer
    rank: tuple[int, ...]
    starts: Sequence[int]

    def sorted(self) -> Iterator[tuple[int, tuple[int, ...], int, int, _Found]]:
        load, rid = self.free.load(self.offer), self.offer.main.rid ^ self.offer.service_rid
        return ((start, self.rank, load, rid, self) for start in self.starts)


def _proposals(found: Sequence[_Found], wanted: Criteria) -> Iterator[dict[str, Any]]:
    soonest = merge(*(each.sorted() for each in found), key=lambda each: each[:4])
    period = {"start": instant(moment_of(wanted.lo)), "end": instant(moment_of(wanted.hi))}
    for start, _, _, _, each in islice(soonest, wanted.count):
        resource = proposed(at(each.free, each.offer, start))
        people = [
            {"actor": {"reference": f"Patient/{patient['id']}"}, "required": "required", "status": "needs-action"}
            for patient in wanted.patients
            if "id" in patient
        ]
        resource["participant"] = [*people, *resource["participant"]]
        yield {**resource, **wanted.carried, "requestedPeriod": [period]}


def _entry(ctx: Context, resource: dict[str, Any]) -> dict[str, Any]:
    url = f"{ctx.base}/Appointment/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}


def _why_nothing(
    fitting: Sequence[tuple[Any, Offer]], wanted: Criteria, lo: int, now: int, online: bool
) -> Iterator[Issue]:
    if lo >= wanted.hi:
        yield _note("The whole time asked for is over.", "too-soon")
    elif not fitting:
        yield _note("Nobody here offers what is asked for.", "nothing-offered")
    elif online and all(_beyond(offer, lo, now) for _, offer in fitting):
        days = max(offer.rules.max_advance for _, offer in fitting)
        yield _note(f"It can be booked at most {days} days ahead.", "too-far")
    else:
        yield _note("Nothing is free in the time asked for.", "nothing-free")


def _beyond(offer: Offer, lo: int, now: int) -> bool:
    return bool(offer.rules.max_advance) and lo > now + offer.rules.max_advance * DAY


def _note(text: str, detail: str) -> Issue:
    return Issue("information", "informational", text, detail=detail)


FIND_OPERATIONS: Mapping[tuple[str | None, str], Wired] = {
    ("Appointment", "find"): Wired(find, extra=frozenset({"_count"})),
}
