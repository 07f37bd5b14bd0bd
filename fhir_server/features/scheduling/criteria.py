"""What $find is asked for: its parameters, read and looked up.

https://profiles.ihe.net/ITI/Scheduling/OperationDefinition-appointment-find.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Context
from fhir_server.core.dates import moment, parse_range
from fhir_server.core.errors import Invalid, Issue, TooCostly, Unprocessable
from fhir_server.features.scheduling import timing
from fhir_server.features.scheduling.fields import expiry
from fhir_server.features.scheduling.hours import DAY, Spans, merged, minutes_of, moment_of
from fhir_server.features.scheduling.offers import Offer, Resource, codings
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.stored import find, get, local
from fhir_server.security import policy

MOST_DAYS = 62
_MINUTE_US = 60_000_000
_LAST_YEAR = 2199
_LAST_US = parse_range(str(_LAST_YEAR))[1]
_TAKES = "proposed,pending,booked,arrived,checked-in"
_DEFAULT, _MOST = 50, 1000
# System and code; "" for none, None for any system.
Token = tuple[str | None, str]


@dataclass(slots=True)
class Criteria:
    """`lo`, `hi`: UTC minutes in which the visit lies. Lists are in the order of preference, empty for any; names are
    `Type/id`. `patients`: who comes, as far as known; `carried`: elements that the proposals take over; `notes`: what
    the caller should know."""

    lo: int
    hi: int
    count: int
    specialties: list[Token]
    types: list[Token]
    practitioners: list[str]
    organizations: list[str]
    locations: list[str] | None
    insurers: set[str] | None
    patients: list[Resource]
    timing: Mapping[str, Any] | None
    carried: dict[str, Any] = field(default_factory=dict)
    notes: list[Issue] = field(default_factory=list)

    def rank(self, offer: Offer, at: Mapping[str, str | None]) -> tuple[int, ...] | None:
        """How well an offer fits, the least is the best; None when it does not. `at`: Practitioner, Organizations and
        Location of the offer by name."""
        service, role = offer.service or {}, offer.role or {}
        schedule = offer.main.schedule
        ranks = (
            _place(self.practitioners, {at.get("practitioner")}),
            _place(self.types, _tokens(service.get("type"), schedule.get("serviceType"))),
            _place(self.specialties, _tokens(*(each.get("specialty") for each in (service, role, schedule)))),
            _place(self.locations, {at.get("location")}),
            _place(self.organizations, {at.get("provider"), at.get("employer"), at.get("owner")}),
        )
        if self.insurers is not None and offer.rules.insurers and not self.insurers & set(offer.rules.insurers):
            return None
        found = tuple(rank for rank in ranks if rank is not None)
        return found if len(found) == len(ranks) else None


def _place(wanted: Sequence[Any] | None, has: Iterable[Any]) -> int | None:
    """The position of the first wanted that it has; 0 when nothing is asked, None when it has none."""
    if wanted is None or (not wanted and isinstance(wanted, list)):
        return 0
    return next((number for number, each in enumerate(wanted) if each in set(has)), None)


def _tokens(*concepts: Any) -> set[Token]:
    """What a token can mean of these lists of CodeableConcepts: their codings, and the codes alone."""
    found = {coding for each in concepts for coding in codings(each)}
    return {*found, *((None, code) for _, code in found)}


def criteria(ctx: Context, values: Mapping[str, Any], extra: Sequence[tuple[str, str]]) -> Criteria:
    """The criteria of a call. Raises `Invalid` for parameters that cannot be, `TooCostly` for too long a time,
    `NotFound` for a patient whom the caller does not see."""
    lo, hi = _window(ctx, values)
    notes: list[Issue] = []
    patients = _patients(ctx, values)
    found = Criteria(
        lo, hi, _count(extra),
        [_token("specialty", text) for text in values.get("specialty", ())],
        [_token("visit-type", text) for text in values.get("visit-type", ())],
        _practitioners(ctx, values.get("practitioner", ()), notes),
        _named(ctx, "organization", "Organization", values.get("organization", ()), notes),
        _locations(ctx, values, notes), _insurers(ctx, values.get("insurance-reference"), notes), patients,
        values.get("timing"), notes=notes,
    )  # fmt: skip
    if found.timing is not None:
        timing.check(found.timing)
    reasons = [_token("reason", text) for text in values.get("reason", ())]
    if reasons:
        found.carried["reasonCode"] = [
            {"coding": [{"system": system, "code": code} if system else {"code": code}]} for system, code in reasons
        ]
    if "referral-identifier" in values:
        found.carried["basedOn"] = [_referral(ctx, values["referral-identifier"], notes)]
    return found


def _window(ctx: Context, values: Mapping[str, Any]) -> tuple[int, int]:
    zone = ZoneInfo(ctx.tenant.zone)
    lo, _ = parse_range(values["start"], zone)
    first, last = parse_range(values["end"], zone)
    # A day as the end means all of it.
    hi = last if len(values["end"]) <= 10 else first
    if hi <= lo:
        raise Invalid("The end is not after the start.", expression="http.end", code="value")
    if lo < 0 or hi > _LAST_US:
        text = f"$find looks at times from 1970 to {_LAST_YEAR}."
        raise Unprocessable(text, expression="http.start" if lo < 0 else "http.end", code="business-rule")
    if hi - lo > MOST_DAYS * DAY * _MINUTE_US:
        raise TooCostly(f"$find looks at {MOST_DAYS} days at most. Ask for a shorter time.", expression="http.end")
    return -(-lo // _MINUTE_US), hi // _MINUTE_US


def _count(extra: Sequence[tuple[str, str]]) -> int:
    given = [value for name, value in extra if name == "_count"]
    if not given:
        return _DEFAULT
    if not (given[-1].isascii() and given[-1].isdigit()):
        raise Invalid("_count takes a whole number.", expression="http._count", code="value")
    return min(int(given[-1][:9]), _MOST)


def _token(name: str, text: str) -> Token:
    """`system|code`, `|code` without a system, or a code of any system. https://hl7.org/fhir/R4/search.html#token"""
    system, bar, code = text.partition("|")
    if not bar:
        return None, system
    if not code:
        raise Invalid(f"{name} takes system|code, or a code alone.", expression=f"http.{name}", code="value")
    return system, code


def _named(
    ctx: Context, name: str, kind: str, references: Iterable[Mapping[str, Any]], notes: list[Issue]
) -> list[str]:
    """`Type/id` of literal references, and of what has the identifier of a logical one."""
    found = []
    for reference in references:
        if "identifier" in reference and "reference" not in reference:
            token = _identifier(reference["identifier"], name)
            known = find(as_server(ctx), kind, [("identifier", token)], 2)
            if len(known) != 1:
                notes.append(_note(f"No single {kind} has the identifier given as {name}.", name))
            found.append(f"{kind}/{known[0]['id']}" if len(known) == 1 else f"{kind}/")
            continue
        target = local(ctx, reference)
        if target is None or not target.startswith(f"{kind}/"):
            raise Invalid(f"{name} takes a reference to a {kind} of this server.", expression=f"http.{name}")
        found.append(target)
    return found


def _practitioners(ctx: Context, references: Sequence[Mapping[str, Any]], notes: list[Issue]) -> list[str]:
    """Practitioners; a PractitionerRole stands for its practitioner."""
    people = []
    for reference in references:
        target = local(ctx, reference)
        if target is not None and target.startswith("PractitionerRole/"):
            role = get(as_server(ctx), *target.split("/"))
            reference = role.get("practitioner", {})
        people.append(reference)
    return _named(ctx, "practitioner", "Practitioner", people, notes)


def _locations(ctx: Context, values: Mapping[str, Any], notes: list[Issue]) -> list[str] | None:
    if "location-reference" not in values and "location-string" not in values:
        return []
    named = _named(ctx, "location-reference", "Location", values.get("location-reference", ()), notes)
    described: list[str] = []
    for text in values.get("location-string", ()):
        found = find(as_server(ctx), "Location", [("address", _escaped(text))])
        described += [f"Location/{each['id']}" for each in found]
    if "location-string" in values and not described:
        notes.append(_note("No place has an address like that.", "location-string"))
    if "location-reference" in values and "location-string" in values:
        # Different parameters hold together.
        described = [name for name in named if name in described]
        return described or ["Location/"]
    return [*named, *dict.fromkeys(described)] or ["Location/"]


def _insurers(ctx: Context, reference: Mapping[str, Any] | None, notes: list[Issue]) -> set[str] | None:
    """`Organization/id` of those who pay by a plan, a coverage, or who are named themselves."""
    if reference is None:
        return None
    target = local(ctx, reference) or ""
    kind = target.partition("/")[0]
    if kind == "Organization":
        return {target}
    if kind not in ("InsurancePlan", "Coverage"):
        text = "insurance-reference takes an InsurancePlan, a Coverage or an Organization of this server."
        raise Invalid(text, expression="http.insurance-reference")
    # A coverage is a patient's: the caller must see it himself.
    plan = get(as_server(ctx) if kind == "InsurancePlan" else ctx, *target.split("/"))
    payers = [plan.get("ownedBy"), plan.get("administeredBy"), *plan.get("payor", ())]
    return {name for name in (local(ctx, each) for each in payers if each) if name}


def _referral(ctx: Context, identifier: Mapping[str, Any], notes: list[Issue]) -> dict[str, Any]:
    """The reference to a referral: the stored one if the caller sees it, else by its identifier."""
    known = find(ctx, "ServiceRequest", [("identifier", _identifier(identifier, "referral-identifier"))], 2)
    if len(known) == 1:
        return {"reference": f"ServiceRequest/{known[0]['id']}", "identifier": dict(identifier)}
    notes.append(
        _note("No single referral with this identifier is known here; it is carried along.", "referral-identifier")
    )
    return {"type": "ServiceRequest", "identifier": dict(identifier)}


def _identifier(identifier: Mapping[str, Any], name: str) -> str:
    if not identifier.get("value"):
        raise Invalid("An identifier needs a value.", expression=f"http.{name}", code="required")
    system = f"{_escaped(identifier['system'])}|" if "system" in identifier else ""
    return system + _escaped(identifier["value"])


def _escaped(text: str) -> str:
    """The text as one value of a search parameter. https://hl7.org/fhir/R4/search.html#escaping"""
    return "".join("\\" + each if each in "\\,$|" else each for each in text)


# -- the patient -------------------------------------------------------------------------------------------------------


def _patients(ctx: Context, values: Mapping[str, Any]) -> list[Resource]:
    """Those who come, as the caller sees them: named, described, or the one whose record the caller is in."""
    names = []
    for reference in values.get("patient-reference", ()):
        target = local(ctx, reference)
        if "identifier" in reference and target is None:
            known = find(ctx, "Patient", [("identifier", _identifier(reference["identifier"], "patient-reference"))], 2)
            target = f"Patient/{known[0]['id']}" if len(known) == 1 else None
        if target is None or not target.startswith("Patient/"):
            raise Invalid(
                "patient-reference takes a reference to a Patient of this server whom you may see.",
                expression="http.patient-reference",
            )
        names.append(target)
    if not names and "patient-resource" not in values and ctx.principal.patient:
        names = [f"Patient/{ctx.principal.patient}"]
    return [*(get(ctx, *name.split("/")) for name in names), *values.get("patient-resource", ())]


def own_time(ctx: Context, patients: Iterable[Resource], lo: int, hi: int) -> Spans:
    """When one of the patients has another appointment, as far as the caller may see it."""
    ids = [each["id"] for each in patients if "id" in each]
    if not ids or not policy.access(ctx).rule("Appointment", "s"):
        return []
    start, end = moment_of(lo - 2 * DAY), moment_of(hi + DAY)
    pairs = [("patient", ",".join(ids)), ("status", _TAKES)]
    pairs += [("date", f"ge{start:%Y-%m-%d}"), ("date", f"lt{end:%Y-%m-%d}")]
    return merged(
        (minutes_of(moment(each["start"])), minutes_of(moment(each["end"])))
        for each in find(ctx, "Appointment", pairs)
        if "start" in each and "end" in each and (expiry(each) or ctx.now) >= ctx.now
    )


def _note(text: str, name: str) -> Issue:
    return Issue("warning", "not-found", text, f"http.{name}")
