"""Accounts of people: making them, who may sign in, and what a change of rights ends.

Whether an address has an account shows nowhere: same answers, same work. What ends somebody's rights ends their
sessions, grants and tokens in the same transaction.
"""

import re
import unicodedata
import uuid
from collections.abc import Sequence
from typing import Any

from fhir_server.core.errors import Conflict, Invalid, NotFound
from fhir_server.security import audit, passwords, throttle, web_sessions
from fhir_server.security.audit_events import SERIOUS
from fhir_server.security.oauth import grants
from fhir_server.security.roles import roles
from fhir_server.storage import access_tokens, accounts, credentials
from fhir_server.storage.accounts import Account
from fhir_server.storage.errors import UniqueViolation
from fhir_server.storage.session import Session

_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[^\s@<>\"(),:;\\\[\]]{1,190}\Z")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})\Z")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")


def normal_email(text: str) -> str:
    """The one way in which an address is stored and looked for."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def is_email(text: str) -> bool:
    """Whether a (normalised) text can be an address."""
    return _EMAIL.match(text) is not None and text.isprintable()


def clean_name(text: str) -> str:
    """What a person is called, in one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def linked(role: str, fhir_user: str | None, patients: Sequence[str]) -> tuple[str, ...]:
    """The ids of the patients whose records the account opens. Raises `Invalid` for a role that does not exist, a link
    that the role does not allow, or a personal role without anybody's record."""
    known = roles().get(role)
    if known is None:
        raise Invalid(f"There is no role {role!r}. Roles: {', '.join(roles())}.")
    if fhir_user is not None:
        parts = _REFERENCE.match(fhir_user)
        if parts is None or parts[1] not in known.fhir_user:
            allowed = " or ".join(f"{name}/ID" for name in known.fhir_user)
            raise Invalid(f"An account with the role {role} is linked to {allowed or 'no resource'}.")
    if not known.personal:
        if patients:
            raise Invalid(f"The role {role} is not bound to single patients.")
        return ()
    if any(not _ID.match(patient) for patient in patients):
        raise Invalid("A patient is named by the id of the Patient resource.")
    own = [fhir_user.partition("/")[2]] if fhir_user and fhir_user.startswith("Patient/") and role == "patient" else []
    found = tuple(dict.fromkeys([*own, *patients]))
    if not found:
        raise Invalid(f"An account with the role {role} needs a patient: --resource Patient/ID or --patient ID.")
    return found


def create(
    db: Session,
    tenant_id: int,
    *,
    email: str,
    role: str,
    password: str | None = None,
    name: str = "",
    language: str = "",
    fhir_user: str | None = None,
    patients: Sequence[str] = (),
    verified: bool = True,
    by: str = "operator",
) -> Account:
    """Make an account; without a password it waits for an invitation. The caller commits. Raises `Conflict` when the
    address is taken, `Invalid` for links that the role does not allow."""
    address = normal_email(email)
    if not is_email(address):
        raise Invalid("That is no e-mail address.")
    made = Account(
        id=uuid.uuid4().hex, subject=str(uuid.uuid4()), email=address, name=name, language=language, role=role,
        fhir_user=fhir_user, patients=linked(role, fhir_user, patients), status="active" if password else "invited",
        password_hash=passwords.hash_password(password) if password else None, verified=bool(password) and verified,
        totp_sealed=None, recovery_codes=0, passkeys=0, created="",
    )  # fmt: skip
    try:
        db.run([accounts.insert(tenant_id, made)])
    except UniqueViolation:
        raise Conflict("There is already an account with this address.") from None
    note(db, tenant_id, "user-created", made.id, by=by, what="created", role=role)
    return made


def create_proved(
    db: Session, tenant_id: int, *, email: str, phone: str, name: str, language: str, patient_id: str
) -> Account:
    """Make the account of a patient who has proved an address by a code: e-mail (normalised) or `phone` (E.164). It has
    no password: codes to that address sign in. The caller commits; raises `UniqueViolation` when somebody else was
    faster with the address, which is no error but a race."""
    made = Account(
        id=uuid.uuid4().hex, subject=str(uuid.uuid4()), email=email, name=clean_name(name), language=language,
        role="patient", fhir_user=f"Patient/{patient_id}", patients=(patient_id,), status="active", password_hash=None,
        verified=bool(email), totp_sealed=None, recovery_codes=0, passkeys=0, created="", phone=phone,
    )  # fmt: skip
    db.run([accounts.insert(tenant_id, made)])
    note(db, tenant_id, "user-created", made.id, by="self", what="registered", role=made.role)
    return made


def add_patient(db: Session, tenant_id: int, account: Account, patient_id: str) -> None:
    """Open one more patient's record to a personal account; its sessions go on, with the new right. The caller
    commits."""
    db.run(
        [
            accounts.add_patient(tenant_id, account.id, patient_id),
            access_tokens.raise_stamps(tenant_id, account.id),
        ]
    )
    note(db, tenant_id, "user-changed", account.id, by="self", what="patient added", role=account.role)


def by_code_alone(account: Account) -> bool:
    """Whether a code, sent to the address, is all that signs in: personal accounts that have nothing stronger. Staff
    never."""
    known = roles().get(account.role)
    return (
        account.status == "active"
        and known is not None
        and known.personal
        and account.password_hash is None
        and not account.second_factor
    )


def lookup(db: Session, tenant_id: int, email: str) -> Account | None:
    """The account of a (normalised) address in any status. What can be no address is not asked for as it is: the
    database would end it at a NUL and find another."""
    return accounts.by_email(db, tenant_id, email if is_email(email) else "")


def find(db: Session, tenant_id: int, email: str) -> Account:
    """The account of an e-mail address or a telephone number (E.164), for the operator. Raises `NotFound`."""
    name = normal_email(email)
    account = lookup(db, tenant_id, name) if "@" in name else accounts.by_phone(db, tenant_id, name)
    if account is None:
        raise NotFound("There is no account with this address.")
    return account


# -- signing in --------------------------------------------------------------------------------------------------------


def check_password(db: Session, tenant_id: int, email: str, password: str, address: str) -> Account | None:
    """The active account of an address and its password, or None: wrong, disabled, invited and unknown look alike.

    Commits what it counts and notes. Raises `Throttled`.
    """
    name = normal_email(email)
    throttle.check(db, tenant_id, "login", name, address)
    account = lookup(db, tenant_id, name)
    db.rollback()
    right = passwords.verify(account.password_hash if account else None, password)
    if account is None or not right or account.status != "active":
        throttle.failed(db, tenant_id, "login", name, address)
        _failure(db, tenant_id, account, address, "password")
        return None
    throttle.succeeded(db, tenant_id, "login", name, address)
    if account.password_hash and passwords.outdated(account.password_hash):
        anew = passwords.hash_password(password)
        db.run([accounts.rehash(tenant_id, account.id, account.password_hash, anew)], final=True)
    return account


def still_to_prove(db: Session, tenant_id: int, account: Account) -> str:
    """What a right password leaves to prove: `factor` (app, recovery code or passkey), `email` (a code sent to the
    address: it is not proved yet, or the account is under attack), or ""."""
    if account.second_factor:
        return "factor"
    if not account.verified or throttle.pressed(db, tenant_id, "login", account.email):
        return "email"
    return ""


def factor_failed(db: Session, tenant_id: int, account: Account, address: str, what: str) -> None:
    """Count and note a wrong second proof. Commits."""
    throttle.failed(db, tenant_id, "factor", account.id, address)
    _failure(db, tenant_id, account, address, what)


def _failure(db: Session, tenant_id: int, account: Account | None, address: str, what: str) -> None:
    agent = f"user:{account.id}" if account else ""
    detail = {"address": address, "reason": what}
    db.run(
        [audit.note(db, tenant_id, "login-failed", outcome=SERIOUS, agent=agent, detail=detail)], final=True
    )


# -- changes -----------------------------------------------------------------------------------------------------------


def end_everything(db: Session, tenant_id: int, user_id: str, but: bytes = b"") -> None:
    """End a user's sessions (except the one of digest `but`), grants, tokens and codes. The caller commits."""
    web_sessions.end_all(db, tenant_id, user_id, but)
    grants.end_user_grants(db, tenant_id, user_id)
    db.run([access_tokens.revoke_user(tenant_id, user_id), credentials.drop_codes(tenant_id, user_id)])


def set_password(
    db: Session, tenant_id: int, account: Account, password: str, *, by: str, keep: bytes = b""
) -> None:
    """Change the password; every other session and every app has to sign in again. The caller commits."""
    db.run([accounts.set_password(tenant_id, account.id, passwords.hash_password(password))])
    end_everything(db, tenant_id, account.id, keep)
    note(db, tenant_id, "user-changed", account.id, by=by, what="password")


def disable(db: Session, tenant_id: int, account: Account, *, by: str = "operator") -> None:
    """Let nobody in with this account from now on. The caller commits."""
    db.run([accounts.set_status(tenant_id, account.id, "disabled")])
    end_everything(db, tenant_id, account.id)
    note(db, tenant_id, "user-changed", account.id, by=by, what="disabled")


def enable(db: Session, tenant_id: int, account: Account, *, by: str = "operator") -> None:
    """Let a disabled account in again (one that never had a password, and was not made by a proved address, waits for
    an invitation). The caller commits."""
    known = account.password_hash or account.phone or (account.verified and roles()[account.role].personal)
    db.run([accounts.set_status(tenant_id, account.id, "active" if known else "invited")])
    note(db, tenant_id, "user-changed", account.id, by=by, what="enabled")


def wait_for_invitation(db: Session, tenant_id: int, account: Account, *, by: str = "operator") -> None:
    """Make the password worthless until the person chooses a new one by an invitation. The caller commits."""
    db.run([accounts.drop_password(tenant_id, account.id)])
    end_everything(db, tenant_id, account.id)
    note(db, tenant_id, "user-changed", account.id, by=by, what="password reset")


def set_rights(
    db: Session,
    tenant_id: int,
    account: Account,
    *,
    role: str,
    fhir_user: str | None,
    patients: Sequence[str],
    by: str = "operator",
) -> None:
    """Change role and links; what was granted under the old ones ends. The caller commits. Raises `Invalid`."""
    allowed = linked(role, fhir_user, patients)
    db.run([accounts.set_rights(tenant_id, account.id, role, fhir_user, allowed)])
    end_everything(db, tenant_id, account.id)
    note(db, tenant_id, "user-changed", account.id, by=by, what="rights", role=role)


def reset_factors(db: Session, tenant_id: int, account: Account, *, by: str = "operator") -> None:
    """Take away every second factor (somebody lost their phone). The caller commits."""
    db.run([accounts.set_totp(tenant_id, account.id, None, 0, [])])
    for known in credentials.passkeys_of(db, tenant_id, account.id):
        db.run([credentials.remove_passkey(tenant_id, account.id, known.credential_id)])
    note(db, tenant_id, "user-changed", account.id, by=by, what="second factors removed")


def note(db: Session, tenant_id: int, event: str, user_id: str, *, by: str = "", **detail: Any) -> None:
    """Write an event about an account into the audit log. `by`: who did it, when it was not the person."""
    agent = f"user:{user_id}" if by in ("", "self") else by
    told = {"account": user_id, **detail}
    db.run([audit.note(db, tenant_id, event, agent=agent, detail=told)])
