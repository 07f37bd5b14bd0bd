"""Callbacks of the provider of SMS and WhatsApp: `POST /t/{tenant}/messages/twilio/status` and `…/inbound`.

What is not signed by the provider changes nothing and gets 403.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, Response, request

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, NotFound
from fhir_server.endpoints.tenant_work import in_tenant
from fhir_server.features.notifications import callbacks, inbound, signature
from fhir_server.features.notifications.callbacks import Form
from fhir_server.security.proxies import origin

bp = Blueprint("messages", __name__)
T = TypeVar("T")

_MOST_BYTES = 65_536
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@bp.post("/t/<slug>/messages/twilio/status")
def status(slug: str) -> Response:
    """What became of a message: 204, also for one that is not known any more."""

    def work(ctx: Context, form: Form) -> None:
        callbacks.status(ctx, form, _message_id())

    return _answered(slug, work, lambda _: Response(status=204, headers=_HEADERS))


@bp.post("/t/<slug>/messages/twilio/inbound")
def received(slug: str) -> Response:
    """What a person wrote to the clinic's number: an answer in TwiML, or an empty one."""
    return _answered(slug, inbound.answer, lambda text: _twiml(inbound.twiml(text or "")))


def _answered(slug: str, work: Callable[[Context, Form], T], answer: Callable[[T], Response]) -> Response:
    request.max_content_length = _MOST_BYTES
    form = request.form.to_dict(flat=False)
    query = request.query_string.decode("latin-1")
    try:
        url = f"{origin(request.environ)}{request.path}" + (f"?{query}" if query else "")
        callbacks.check(url, form, request.headers.get(signature.HEADER, ""))
        found = in_tenant(slug, lambda ctx: work(ctx, form), again=False)
    except NotFound:
        return _plain(404, "There is no such tenant.")
    except FhirError as error:
        return _plain(error.status, str(error))
    return answer(found)


def _message_id() -> int | None:
    text = request.args.get("message", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _twiml(text: str) -> Response:
    return Response(text, headers=_HEADERS, content_type="text/xml; charset=utf-8")


def _plain(code: int, text: str) -> Response:
    return Response(text + "\n", code, _HEADERS, content_type="text/plain; charset=utf-8")
