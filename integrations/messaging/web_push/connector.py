"""One web push: encrypted for the browser (RFC 8291), signed by the tenant's key (RFC 8292), handed to the push service
of the browser (RFC 8030)."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from py_vapid import Vapid02
from pywebpush import WebPusher

from fhir_server.core import clock
from fhir_server.features.notifications.provider import Accepted, Later, Outcome, Refused, Unclear
from fhir_server.security import outbound

_SECONDS = 10
# RFC 8292 section 2: at most 24 hours.
_SIGNED_FOR_S = 12 * 3600
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Browser:
    """A subscription: where its push service is, and the browser's keys (base64url)."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True, slots=True)
class Push:
    """What to show, and how. `seconds`: how long the service keeps it; `topic`: a later one replaces it, at most 32
    characters of base64url; `urgency`: RFC 8030 section 5.3."""

    payload: bytes
    seconds: int
    topic: str
    urgency: str


def push(browser: Browser, what: Push, key: EllipticCurvePrivateKey, subject: str) -> Outcome:
    """Hand it over. `Refused(GONE)`: the browser unsubscribed."""
    origin = urlsplit(browser.endpoint)
    claims = {
        "aud": f"{origin.scheme}://{origin.netloc}",
        "exp": int(clock.now().timestamp()) + _SIGNED_FOR_S,
        "sub": subject,
    }
    headers = {
        **Vapid02(key).sign(claims),
        "TTL": str(what.seconds),
        "Topic": what.topic,
        "Urgency": what.urgency,
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "aes128gcm",
    }
    keys = {"endpoint": browser.endpoint, "keys": {"p256dh": browser.p256dh, "auth": browser.auth}}
    body = bytes(WebPusher(keys).encode(what.payload)["body"])
    try:
        answer = outbound.post(browser.endpoint, body, headers, seconds=_SECONDS)
    except outbound.Refused:
        return Refused("address")
    except outbound.Unreachable as error:
        return Unclear("timeout") if error.began else Later("unreachable")
    return _meaning(answer.status, answer.retry_after)


def _meaning(status: int, retry_after: int) -> Outcome:
    if 200 <= status < 300:
        return Accepted("", final=True)
    if status in (404, 410):
        return Refused(GONE, "recipient-unavailable")
    if status == 429 or status >= 500:
        return Later(f"http-{status}", retry_after)
    return Refused(f"http-{status}")
