"""Patient/$prove: with the code a guest becomes a person with an account, whose held time is booked in the same
transaction (profiles/scheduling/operations/Patient-prove.json)."""

import hmac
import re
import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from fhir_server.core.context import Context, Principal
from fhir_server.core.errors import Issue, outcome
from fhir_server.core.messages import FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.features.scheduling import booking, callers
from fhir_server.features.scheduling.asked import by_reference
from fhir_server.features.scheduling.book import status_of
from fhir_server.features.scheduling.booking import Terms
from fhir_server.features.scheduling.fields import Resource
from fhir_server.features.scheduling.guest_register import digest, guest_of, opened
from fhir_server.features.scheduling.guest_words import Words, agreement_of, is_same, patient_of
from fhir_server.features.scheduling.patients import Person
from fhir_server.features.scheduling.response import or_alternatives
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.interactions.changes import Changes
from fhir_server.operations.call import OperationCall
from fhir_server.security import accounts
from fhir_server.security.guests import CLIENT_ID
from fhir_server.security.roles import roles
from fhir_server.security.scopes import parse_scopes
from fhir_server.storage import accounts as account_rows
from fhir_server.storage import guests
from fhir_server.storage.accounts import Account
from fhir_server.storage.guests import Proof

_ATTEMPTS = 5
_TICKET_SECONDS = 300
_AS_PATIENT = "patient/Patient.rs patient/Appointment.cru"


@dataclass(frozen=True, slots=True)
class _Known:
    """What a proof came to. `account`: whose address it is, None where that account is not for patients; `how`: code
    of the answer's `account`."""

    account: Account | None
    patient: Resource
    how: str
    fresh: bool = False


def prove(ctx: Context, call: OperationCall) -> FhirResponse:
    """Take a code: Parameters with the patient, how the account stands, a ticket that signs this browser in, and what
    was booked. Asked again with the same code it gives the same answer.

    A wrong code is counted, so it is answered (422, code-wrong or code-over) and not raised. When the time cannot be
    booked nothing is done, the code stays good, and the errors are those of $book: call it without the Appointment to
    have the account.
    """
    guest, code = guest_of(ctx), re.sub(r"\s", "", call.parameters["code"])
    proof = guests.lock(ctx.db, ctx.tenant.id, guest)
    if proof is None or not proof.open or proof.attempts >= _ATTEMPTS:
        return _refused("There is no code that could be used. Ask for a new one.", "code-over")
    said = opened(ctx, proof)
    if not hmac.compare_digest(proof.hash, digest(ctx, guest, said, code)):
        ctx.db.run([guests.missed(ctx.tenant.id, guest)])
        return _refused("The code is not right.", "code-wrong")
    known = _again(ctx, proof) if proof.proved else _settled(ctx, said)
    comment = call.parameters.get("comment") or said.comment or None
    appointment, notes = _booked(ctx, call.parameters.get("appointment-reference"), proof, known, comment)
    ticket = secrets.token_urlsafe(32) if _signs_in(known.account) else ""
    row = guests.proved(
        ctx.tenant.id, guest, known.account.id if known.account else "", known.patient["id"],
        appointment["id"] if appointment else "", _digest(ticket), _TICKET_SECONDS,
    )  # fmt: skip
    ctx.db.run([row])
    return FhirResponse(200, encode(_answer(known, ticket, appointment, notes)))


def _digest(ticket: str) -> bytes:
    """What is kept of a ticket; of none, what no ticket has."""
    return sha256(ticket.encode() if ticket else secrets.token_bytes(32)).digest()


def _refused(text: str, detail: str) -> FhirResponse:
    issue = Issue("error", "business-rule", text, "http.code", detail)
    return FhirResponse(422, encode(outcome([issue])))


def _signs_in(account: Account | None) -> bool:
    """Whether a code alone is what the account is signed in to with."""
    return account is not None and accounts.by_code_alone(account)


# -- the person --------------------------------------------------------------------------------------------------------


def _settled(ctx: Context, said: Words) -> _Known:
    """The account of a proved address, made where there is none, and the person's record. Nobody gets at a record that
    the clinic has already by knowing an address: staff link records."""
    tenant_id = ctx.tenant.id
    # Who proves the same address at the same moment waits, and finds what was made of it.
    callers.take_turns(ctx, [f"address/{said.address}"])
    look = account_rows.by_email if said.channel == "email" else account_rows.by_phone
    account = look(ctx.db, tenant_id, said.address)
    if account is None:
        patient = _registered(ctx, said)
        email, phone = (said.address, "") if said.channel == "email" else ("", said.address)
        made = accounts.create_proved(
            ctx.db, tenant_id, email=email, phone=phone, name=said.name, language=said.language,
            patient_id=patient["id"],
        )  # fmt: skip
        return _Known(made, patient, "new", fresh=True)
    if account.status != "active" or not roles()[account.role].personal:
        return _Known(None, _registered(ctx, said), "none", fresh=True)
    for patient in stored.by_name(as_server(ctx), [f"Patient/{id_}" for id_ in account.patients]).values():
        if is_same(said, patient):
            return _Known(account, patient, "known")
    patient = _registered(ctx, said)
    accounts.add_patient(ctx.db, tenant_id, account, patient["id"])
    return _Known(account, patient, "known", fresh=True)


def _again(ctx: Context, proof: Proof) -> _Known:
    account = account_rows.by_id(ctx.db, ctx.tenant.id, proof.user_id) if proof.user_id else None
    patient = stored.get(as_server(ctx), "Patient", proof.patient_id)
    return _Known(account, patient, "known" if account else "none")


def _registered(ctx: Context, said: Words) -> Resource:
    unit = Changes(as_server(ctx))
    id_ = unit.add(patient_of(said, ctx.now))
    unit.add(agreement_of(id_, ctx.now))
    return unit.run()[f"Patient/{id_}"]


# -- the visit ---------------------------------------------------------------------------------------------------------


def _booked(
    ctx: Context, reference: Resource | None, proof: Proof, known: _Known, comment: str | None
) -> tuple[Resource | None, list[Issue]]:
    if proof.appointment_id:
        return stored.get(as_server(ctx), "Appointment", proof.appointment_id), []
    if reference is None:
        return None, []
    me = _as_patient(ctx, known.patient["id"])
    unit = Changes(as_server(ctx))
    asked = by_reference(ctx, unit, reference, booking=True)
    people = [Person(f"Patient/{known.patient['id']}", known.patient, new=known.fresh)]
    own = ("", 0)
    if asked.before is not None:
        own = asked.appointment["id"], unit.rid("Appointment", asked.appointment["id"])
    booking.check(me, asked.visit, people, own=own)
    status, notes = status_of(me, asked, people)
    id_ = booking.write(me, unit, asked, people, Terms(status, comment=comment))
    with or_alternatives(me, asked.visit, lapsed=asked.lapsed):
        return unit.run()[f"Appointment/{id_}"], notes


def _as_patient(ctx: Context, patient_id: str) -> Context:
    """The same request by the person, who now is known to have asked."""
    principal = Principal(
        CLIENT_ID, parse_scopes(_AS_PATIENT), ctx.principal.token_hash, token_id=ctx.principal.token_id,
        patient=patient_id, purpose="PATRQT",
    )  # fmt: skip
    return replace(ctx, principal=principal)


def _answer(known: _Known, ticket: str, appointment: Resource | None, notes: list[Issue]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{known.patient['id']}"}},
        {"name": "account", "valueCode": known.how},
    ]
    if ticket:
        parameters.append({"name": "ticket", "valueString": ticket})
    if appointment is not None:
        parameters.append({"name": "appointment", "resource": appointment})
    if notes:
        parameters.append({"name": "outcome", "resource": outcome(notes)})
    return {"resourceType": "Parameters", "parameter": parameters}
