"""Idempotency-Key: a request that is sent again gets the answer that it got, and is not done again.

The key counts for its caller and for a day; the answer is kept sealed, in the transaction of what it tells about.
https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
"""

from collections.abc import Callable
from hashlib import sha256

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Unprocessable
from fhir_server.core.messages import FhirRequest, FhirResponse
from fhir_server.core.resource_json import encode
from fhir_server.security.sealing import seal, unseal
from fhir_server.storage import idempotency

HEADER = "idempotency-key"
_LONGEST = 255
_SEALED_FOR = "idempotency"


def once(ctx: Context, request: FhirRequest, work: Callable[[], FhirResponse]) -> FhirResponse:
    """Do the work unless this caller had it done under the same key; then give that answer again.

    Raises `Unprocessable` when the key was used for another request. What fails is undone with its key.
    """
    key = request.header(HEADER)
    if key is None:
        return work()
    if not 0 < len(key) <= _LONGEST:
        raise Invalid(f"Idempotency-Key is a text of 1 to {_LONGEST} characters.", expression="http.Idempotency-Key")
    who = ctx.principal
    owner = who.user.id if who.user else who.client_id
    hash_ = sha256(f"{owner}\x1f{who.patient or ''}\x1f{key}".encode()).digest()
    digest = sha256(f"{request.path}\x1f{request.query}\x1f".encode() + _body(request)).digest()
    found = idempotency.take(ctx.db, ctx.tenant.id, hash_, digest)
    if found is None:
        answer = work()
        sealed = seal(ctx.db, ctx.tenant.id, answer.body or b"", _SEALED_FOR)
        ctx.db.run([idempotency.answered(ctx.tenant.id, hash_, answer.status, sealed)])
        return answer
    if found.request != digest:
        text = "This Idempotency-Key was used for another request."
        raise Unprocessable(text, expression="http.Idempotency-Key", code="business-rule")
    return FhirResponse(found.status, unseal(ctx.db, ctx.tenant.id, found.sealed, _SEALED_FOR))


def _body(request: FhirRequest) -> bytes:
    return request.body if request.resource is None else encode(request.resource)
