"""The key by which push services know a tenant (VAPID, RFC 8292), and what a browser must give to subscribe."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from fhir_server.core.context import Context
from fhir_server.security.sealing import Unsealable, seal, unseal
from fhir_server.storage import push_subscriptions

# What subscriptions are sealed for, and the key.
SUBSCRIPTION = "push subscription"
_SEALED_FOR = "push key"
_CURVE = ec.SECP256R1()


def private(ctx: Context) -> ec.EllipticCurvePrivateKey:
    """The tenant's key; makes it when there is none. A transaction stays open."""
    held = push_subscriptions.key(ctx.db, ctx.tenant.id)
    if held is not None:
        try:
            return _loaded(unseal(ctx.db, ctx.tenant.id, held, _SEALED_FOR))
        except Unsealable:
            # Browsers know the key that is gone; they have to subscribe again.
            ctx.db.run(push_subscriptions.drop_key(ctx.tenant.id))
    made = ec.generate_private_key(_CURVE)
    plain = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    ctx.db.run([push_subscriptions.add_key(ctx.tenant.id, seal(ctx.db, ctx.tenant.id, plain, _SEALED_FOR))])
    held = push_subscriptions.key(ctx.db, ctx.tenant.id)
    assert held is not None
    return _loaded(unseal(ctx.db, ctx.tenant.id, held, _SEALED_FOR))


def application_server_key(ctx: Context) -> str:
    """What a browser subscribes with: the public half as base64url. https://www.w3.org/TR/push-api/"""
    point = private(ctx).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode()


def is_browser_key(text: str) -> bool:
    """Whether this is a point of P-256 in base64url, as `PushSubscription.getKey("p256dh")` gives it."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, decoded(text))
    except ValueError:
        return False
    return True


def is_secret(text: str) -> bool:
    """Whether these are 16 bytes in base64url, as `PushSubscription.getKey("auth")` gives them."""
    try:
        return len(decoded(text)) == 16
    except ValueError:
        return False


def decoded(text: str) -> bytes:
    """Base64url with or without padding. Raises ValueError."""
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _loaded(plain: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(plain, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
