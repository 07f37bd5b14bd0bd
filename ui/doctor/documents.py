"""A document of the record, to be kept or opened: never shown inside the page, whatever it says it is."""

import base64
import binascii
from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir
from ui.doctor.chart import binary_of
from ui.doctor.concepts import Resource
from ui.doctor.entry import bp
from ui.doctor.record import of_patient, place

_KINDS = ("application/pdf", "image/jpeg", "image/png", "text/plain", "application/dicom")
_ENDINGS = {
    "application/pdf": "pdf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "text/plain": "txt",
    "application/dicom": "dcm",
}


@bp.get("/patient/<patient_id>/document/<document_id>")
def document(slug: str, patient_id: str, document_id: str) -> ResponseReturnValue:
    """The file of a DocumentReference, as a download."""
    where = place(patient_id)
    found = of_patient(where, fhir.read(f"DocumentReference/{document_id}"))
    for each in found.get("content", ()):
        attachment: Resource = each.get("attachment", {})
        body = _body(attachment)
        if body is not None:
            return _file(body, str(attachment.get("contentType", "")), document_id)
    raise NotFound("There is no such page.")


def _body(attachment: Resource) -> bytes | None:
    """The content: in the attachment itself, or a Binary of this server; None for what is elsewhere."""
    given: Any = attachment.get("data")
    if not given and binary_of(attachment):
        given = fhir.read(binary_of(attachment)).get("data")
    if not given:
        return None
    try:
        return base64.b64decode(str(given), validate=False)
    except (binascii.Error, ValueError):
        return None


def _file(body: bytes, kind: str, name: str) -> Response:
    plain = kind.partition(";")[0].strip()
    shown = plain if plain in _ENDINGS else "application/octet-stream"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{_ENDINGS.get(shown, "bin")}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(body, headers=headers, content_type=shown)
