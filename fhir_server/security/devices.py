"""Boards and kiosks that sign in: a Device has an account of its own, and a browser becomes the device by a code that
is good once. What a device may do is its role's business; nobody knows a password for it.
"""

import hmac
import re
import secrets
import uuid
from datetime import datetime

from fhir_server.core import clock
from fhir_server.core.errors import NotFound
from fhir_server.security import accounts, audit, web_sessions
from fhir_server.settings import settings
from fhir_server.storage import accounts as account_rows
from fhir_server.storage import credentials, devices
from fhir_server.storage.accounts import Account
from fhir_server.storage.devices import SignIn
from fhir_server.storage.session import Session

ROLES = ("board", "kiosk")
CODE_SECONDS = 15 * 60
SESSION_SECONDS = web_sessions.STAYING_SECONDS
# Without letters and digits that look like others: 31^8 is 40 bits, for a quarter of an hour, with attempts counted.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_LENGTH = 8


def offer(db: Session, tenant_id: int, device: str, role: str, *, name: str, by: str) -> tuple[str, datetime]:
    """A new code for `Device/id` in place of an earlier one, and until when it is good. Its account is made, or given
    this role. The caller commits."""
    known = devices.account_of(db, tenant_id, device)
    account = account_rows.by_id(db, tenant_id, known) if known else None
    if account is None:
        # Nobody reads mail to a name that cannot exist (RFC 2606).
        address = f"{uuid.uuid4().hex}@device.invalid"
        account = accounts.create(
            db, tenant_id, email=address, role=role, name=accounts.clean_name(name), fhir_user=device, by=by
        )
    elif account.role != role:
        accounts.set_rights(db, tenant_id, account, role=role, fhir_user=device, patients=(), by=by)
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    until = datetime.fromtimestamp(int(clock.now().timestamp()) + CODE_SECONDS, clock.now().tzinfo)
    db.run([credentials.save_code(tenant_id, account.id, "pairing", _digest(tenant_id, code), CODE_SECONDS)])
    accounts.note(db, tenant_id, "user-changed", account.id, by=by, what="pairing code")
    return f"{code[:4]}-{code[4:]}", until


def named_by(db: Session, tenant_id: int, code: str) -> Account | None:
    """The account whose code this is, as long as the code is good."""
    user_id = devices.peek_code(db, tenant_id, _digest(tenant_id, code))
    return account_rows.by_id(db, tenant_id, user_id) if user_id else None


def pair(db: Session, tenant_id: int, code: str, *, agent: str, address: str, replaces: bytes | None) -> str | None:
    """Use a code up: the id of a session that lasts, for one caller; None for a code that is not good. What was signed
    in as this device before ends. The caller commits."""
    rows = db.run([devices.use_code(tenant_id, _digest(tenant_id, code))])[0]
    account = account_rows.by_id(db, tenant_id, (rows[0][0] or b"").decode()) if rows else None
    if account is None or account.role not in ROLES:
        return None
    accounts.end_everything(db, tenant_id, account.id)
    db.run([account_rows.set_status(tenant_id, account.id, "active")])
    session_id = web_sessions.start(
        db, tenant_id, account.id, amr=["otp"], agent=agent, replaces=replaces, role=account.role
    )
    detail = {"address": address, "amr": ["otp"]}
    db.run([audit.note(db, tenant_id, "login", agent=f"user:{account.id}", detail=detail)])
    return session_id


def end(db: Session, tenant_id: int, device: str, *, by: str) -> bool:
    """End whatever is signed in as `Device/id`, and its open code; whether the device had an account that was in use.
    The caller commits. Raises `NotFound` for one that never had an account."""
    known = devices.account_of(db, tenant_id, device)
    account = account_rows.by_id(db, tenant_id, known) if known else None
    if account is None:
        raise NotFound(f"{device} was never paired.")
    accounts.disable(db, tenant_id, account, by=by)
    return account.status != "disabled"


def sign_ins(db: Session, tenant_id: int) -> list[SignIn]:
    """Every device with an account, by id."""
    return devices.sign_ins(db, tenant_id, ROLES)


def _digest(tenant_id: int, code: str) -> bytes:
    plain = re.sub(r"[\s-]", "", code).upper()[: 2 * _LENGTH]
    # As in security.codes: what can be guessed is no secret behind a bare hash.
    return hmac.digest(settings.secret_key(), f"pairing|{tenant_id}|{plain}".encode(), "sha256")
