"""Who asks to book: for which patients he may, whose hold is whose, and whose turn it is where only one may act."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError
from fhir_server.core.keys import key64
from fhir_server.features.scheduling.fields import PROPOSAL, Resource
from fhir_server.interactions.stored import find, get, local
from fhir_server.security import policy
from fhir_server.storage import locks

_AT_ONCE = 200


def own_patients(ctx: Context) -> frozenset[str] | None:
    """Ids of the patients in whose records the caller may write Appointments; None when it is no matter whose."""
    return policy.access(ctx).patients("Appointment", "u")


def check_may_book(ctx: Context, given: Mapping[str, Any]) -> None:
    """Raise `Forbidden` unless the caller may create Appointments or, where the parameters mean a stored one, change
    them: before anything that could tell him more."""
    named = str(given.get("appointment-reference", {}).get("reference", "")).rsplit("/", 1)[-1]
    if named and not named.startswith(PROPOSAL):
        policy.allow(ctx, "update", "Appointment")
    elif "id" not in given.get("appointment-resource", {}) or not policy.access(ctx).rule("Appointment", "u"):
        policy.allow(ctx, "create", "Appointment")


def seen(ctx: Context, appointments: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids of those of these Appointments that the caller may see, by scopes, role, labels and consents: what the server
    found on his behalf may be more."""
    ids = [each["id"] for each in appointments]
    if policy.access(ctx).rule("Appointment", "s"):
        parts = [ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE)]
        return {each["id"] for part in parts for each in find(ctx, "Appointment", [("_id", ",".join(part))])}
    return {id_ for id_ in ids if _may_read(ctx, id_)}


def _may_read(ctx: Context, appointment_id: str) -> bool:
    try:
        return bool(get(ctx, "Appointment", appointment_id))
    except FhirError:
        return False


def default_patient(ctx: Context) -> str | None:
    """The patient for whom a caller books who names none: the one of his launch, or the only one of his."""
    own = own_patients(ctx)
    if own is None:
        return None
    if ctx.principal.patient in own:
        return ctx.principal.patient
    return next(iter(own)) if len(own) == 1 else None


def holder(ctx: Context) -> str:
    """A code that stands for the caller in what he holds, and says nothing about him."""
    who = ctx.principal
    name = f"user/{who.user.id}" if who.user else f"patient/{who.patient}" if who.patient else f"client/{who.client_id}"
    return f"{key64(f'{ctx.tenant.id}/holder/{name}') & (2**64 - 1):016x}"


def is_person(ctx: Context) -> bool:
    """Whether the caller is one person, rather than a program that asks for many."""
    return ctx.principal.user is not None or ctx.principal.patient is not None


def related_person(ctx: Context) -> str | None:
    """`RelatedPerson/id` of a caller who acts for somebody else as his relative."""
    user = ctx.principal.user
    return user.fhir_user if user and user.fhir_user and user.fhir_user.startswith("RelatedPerson/") else None


def foreign(ctx: Context, appointment: Resource) -> bool:
    """Whether a patient takes part who is none of the caller's."""
    own = own_patients(ctx)
    return own is not None and not set(patients_of(ctx, appointment)) <= own


def patients_of(ctx: Context, appointment: Resource) -> list[str]:
    """Ids of the Patients who take part."""
    names = [local(ctx, each.get("actor")) or "" for each in appointment.get("participant", ())]
    return [name.removeprefix("Patient/") for name in dict.fromkeys(names) if name.startswith("Patient/")]


def take_turns(ctx: Context, names: Iterable[str]) -> None:
    """Wait until nobody else of the tenant does something under these names, until the transaction ends."""
    locks.lock_all(ctx.db, turn_keys(ctx, names))


def turn_keys(ctx: Context, names: Iterable[str]) -> list[int]:
    """The locks of these names, in the one order in which everybody takes them."""
    return sorted({key64(f"{ctx.tenant.id}\x1fbooking\x1f{name}") for name in names})
