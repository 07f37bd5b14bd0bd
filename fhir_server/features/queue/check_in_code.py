"""Appointment/[id]/$check-in-code: what the QR code of an appointment says to a kiosk. It is the appointment's id with
a mark of this server, so it needs no row, and nobody makes one up."""

import base64
import hmac
from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.queue.callers import check_possible, staff
from fhir_server.interactions import stored
from fhir_server.interactions.acting import may_write
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.settings import settings

# 16 characters of 80 bits.
_BYTES = 10


def check_in_code(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """`Appointment/[id]/$check-in-code`: Parameters with `code`. Raises `NotFound`, and `Forbidden` for an Appointment
    that the caller may not change, because whoever has the code checks in."""
    check_possible(ctx, "update", "Appointment")
    booking = stored.get(ctx, "Appointment", call.id or "")
    if not staff(ctx):
        may_write(ctx, booking, "u")
    code = code_of(ctx.tenant.id, booking["id"])
    return {"resourceType": "Parameters", "parameter": [{"name": "code", "valueString": code}]}


def code_of(tenant_id: int, appointment_id: str) -> str:
    """The code of an Appointment."""
    mac = hmac.digest(settings.secret_key(), f"check-in|{tenant_id}|{appointment_id}".encode(), "sha256")
    return f"{appointment_id}.{base64.b32encode(mac[:_BYTES]).decode()}"


def appointment_of(tenant_id: int, code: str) -> str | None:
    """The id of the Appointment whose code this is; None for any other text."""
    appointment_id = code.rpartition(".")[0]
    known = code_of(tenant_id, appointment_id)
    return appointment_id if hmac.compare_digest(known.encode(), code.encode("utf-8", "surrogatepass")) else None


OPERATIONS = {("Appointment", "check-in-code"): Wired(check_in_code)}
