"""Patient/[id]/$push-subscribe, $push-unsubscribe and $push-key: a browser that wants a person's messages
(profiles/notifications/operations/)."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.core.keys import self_key
from fhir_server.features.notifications import callers, push_keys
from fhir_server.interactions import acting, stored
from fhir_server.operations.call import OperationCall, Wired
from fhir_server.operations.parameters import returned
from fhir_server.security import outbound
from fhir_server.security.sealing import seal
from fhir_server.storage import push_subscriptions

_LONGEST = 1000
_WHAT = "subscribe a browser to somebody else's messages"


def key(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """What a browser of this tenant subscribes with."""
    return returned("String", push_keys.application_server_key(ctx))


def subscribe(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Let a browser get the person's messages from now on. The same browser may come again."""
    person = _person(ctx, call)
    endpoint, p256dh, auth = (str(call.parameters[name]) for name in ("endpoint", "p256dh", "auth"))
    _check_endpoint(endpoint)
    if not push_keys.is_browser_key(p256dh):
        raise _wrong("p256dh", "p256dh is the browser's public key: a point of P-256 in base64url.")
    if not push_keys.is_secret(auth):
        raise _wrong("auth", "auth is the browser's secret: 16 bytes in base64url.")
    plain = msgspec.json.encode({"endpoint": endpoint, "p256dh": p256dh, "auth": auth})
    sealed = seal(ctx.db, ctx.tenant.id, plain, push_keys.SUBSCRIPTION)
    ctx.db.run(push_subscriptions.add(ctx.tenant.id, _digest(endpoint), person, sealed))
    return returned("Boolean", True)


def unsubscribe(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Forget a browser of the person: whether it was known."""
    person = _person(ctx, call)
    removed = push_subscriptions.remove(ctx.db, ctx.tenant.id, _digest(str(call.parameters["endpoint"])), person)
    return returned("Boolean", removed)


def _person(ctx: Context, call: OperationCall) -> int:
    """The person in the URL: the caller, one for whom the caller acts, or anybody for staff. The right is that of
    $set-message-preferences, because a browser gets what the person is told."""
    assert call.type is not None and call.id is not None
    stored.get(ctx, call.type, call.id)
    if not callers.check_speaks_for(ctx, call.type, call.id, _WHAT):
        acting.check_staff(ctx, call.type, _WHAT)
    return self_key(call.type, call.id)


def _check_endpoint(endpoint: str) -> None:
    if len(endpoint) > _LONGEST:
        raise _wrong("endpoint", f"endpoint has at most {_LONGEST} characters.")
    try:
        outbound.check(endpoint)
    except outbound.Refused as error:
        raise _wrong("endpoint", f"endpoint is the https URL of a push service. {error}") from None


def _digest(endpoint: str) -> bytes:
    return sha256(endpoint.encode()).digest()


def _wrong(name: str, text: str) -> Unprocessable:
    return Unprocessable(text, expression=f"http.{name}", code="value")


OPERATIONS: Mapping[tuple[str | None, str], Wired] = {
    (kind, code): Wired(handler)
    for kind in ("Patient", "RelatedPerson", "Practitioner")
    for code, handler in (("push-key", key), ("push-subscribe", subscribe), ("push-unsubscribe", unsubscribe))
}
