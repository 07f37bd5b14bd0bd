"""Six-digit codes of an authenticator app (RFC 6238), and the recovery codes for when it is lost."""

import base64
import hmac
import io
import re
import secrets
import time

import pyotp
import segno

from fhir_server.security.sealing import Unsealable, seal, unseal
from fhir_server.settings import settings
from fhir_server.storage import accounts
from fhir_server.storage.accounts import Account
from fhir_server.storage.session import Session

_STEP = 30
_RECOVERY_CODES = 10
_SEALED_FOR = "totp"
# A new secret travels through the page that shows it; it opens there for its person only, and not for long.
_OFFER_SECONDS = 1800


def offer(db: Session, tenant_id: int, user_id: str) -> tuple[str, str]:
    """A new secret (base32) and the same one sealed, for the form that confirms it."""
    secret = pyotp.random_base32()
    plain = f"{int(time.time())} {secret}".encode()
    return secret, base64.urlsafe_b64encode(seal(db, tenant_id, plain, f"{_SEALED_FOR}-offer {user_id}")).decode()


def offered(db: Session, tenant_id: int, user_id: str, sealed: str) -> str | None:
    """The secret of `offer`, or None when the text is not ours, another person's or half an hour old."""
    try:
        raw = base64.urlsafe_b64decode(sealed.encode())
        made, secret = unseal(db, tenant_id, raw, f"{_SEALED_FOR}-offer {user_id}").decode().split(" ")
    except (ValueError, Unsealable):
        return None
    return secret if int(made) > time.time() - _OFFER_SECONDS else None


def address(secret: str, email: str, issuer: str) -> str:
    """The otpauth:// address that an app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def picture(text: str) -> str:
    """A QR code as data: URL of an SVG image, dark on white with its quiet zone in any colour scheme."""
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False)
    return f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"


def step_of(secret: str, code: str) -> int | None:
    """The time step that a code belongs to: this one or a neighbour (clocks differ); None for a wrong code."""
    digits = re.sub(r"\s", "", code)
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    now = int(time.time()) // _STEP
    found = None
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(pyotp.TOTP(secret).at(step * _STEP), digits):
            found = step
    return found


def begin(db: Session, tenant_id: int, account: Account, secret: str, code: str) -> list[str] | None:
    """Make the secret the account's second factor when the code proves that the app has it: the recovery codes, to be
    shown once; None for a wrong code. The caller commits."""
    step = step_of(secret, code)
    if step is None:
        return None
    codes = [_recovery_code() for _ in range(_RECOVERY_CODES)]
    sealed = seal(db, tenant_id, secret.encode(), f"{_SEALED_FOR} {account.id}")
    hashes = [_recovery_digest(tenant_id, account.id, code) for code in codes]
    db.run([accounts.set_totp(tenant_id, account.id, sealed, step, hashes)])
    return codes


def stop(db: Session, tenant_id: int, account: Account) -> None:
    """Take the second factor and its recovery codes away. The caller commits."""
    db.run([accounts.set_totp(tenant_id, account.id, None, 0, [])])


def check(db: Session, tenant_id: int, account: Account, code: str) -> bool:
    """Whether a code of the app is right and was not used before. The caller commits."""
    if account.totp_sealed is None:
        return False
    try:
        secret = unseal(db, tenant_id, account.totp_sealed, f"{_SEALED_FOR} {account.id}").decode()
    except Unsealable:
        # Its key was destroyed. The operator takes the factor away (user reset --factors).
        return False
    step = step_of(secret, code)
    return step is not None and bool(db.run([accounts.take_totp_step(tenant_id, account.id, step)])[0])


def recover(db: Session, tenant_id: int, account: Account, code: str) -> bool:
    """Whether this is one of the unused recovery codes; it is used up. The caller commits."""
    plain = re.sub(r"[\s-]", "", code).upper()
    if not re.fullmatch(r"[A-Z2-7]{16}", plain):
        return False
    return bool(
        db.run([accounts.take_recovery_code(tenant_id, account.id, _recovery_digest(tenant_id, account.id, plain))])[0]
    )


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(10)).decode()
    return "-".join(text[i : i + 4] for i in range(0, 16, 4))


def _recovery_digest(tenant_id: int, user_id: str, code: str) -> bytes:
    # 80 bits are few for a bare hash: the server's key makes it useless to whoever has the table only.
    message = f"recovery|{tenant_id}|{user_id}|{code.replace('-', '')}".encode()
    return hmac.digest(settings.secret_key(), message, "sha256")
