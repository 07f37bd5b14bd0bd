"""What counts once counts once, however many ask at the same moment."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pyotp

from fhir_server.rest.dispatch import session
from fhir_server.security import accounts, codes, totp
from fhir_server.storage.session import Session
from tests.signin.conftest import Clinic

_RACERS = 8


def _race(work: Callable[[], bool]) -> int:
    """How many of several threads win."""
    start = Barrier(_RACERS)

    def run(_: int) -> bool:
        session()
        start.wait(120)
        try:
            return work()
        finally:
            session().close()

    with ThreadPoolExecutor(_RACERS) as pool:
        return sum(pool.map(run, range(_RACERS)))


def _once(clinic: Clinic, redeem: Callable[[Session], bool]) -> Callable[[], bool]:
    def work() -> bool:
        db = clinic.enter()
        won = redeem(db)
        db.commit()
        return won

    return work


def test_a_code_by_mail(clinic: Clinic) -> None:
    person = clinic.person("code")
    db = clinic.enter()
    code = codes.issue(db, clinic.tenant.id, person.id, "reset")
    db.commit()
    assert _race(_once(clinic, lambda db: codes.redeem(db, clinic.tenant.id, person.id, "reset", code))) == 1


def test_five_attempts_in_all(clinic: Clinic) -> None:
    person = clinic.person("attempts")
    db = clinic.enter()
    code = codes.issue(db, clinic.tenant.id, person.id, "reset")
    db.commit()
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    _race(_once(clinic, lambda db: codes.redeem(db, clinic.tenant.id, person.id, "reset", wrong)))
    assert clinic.sql("SELECT attempts FROM user_code WHERE tenant_id = $1 AND user_id = $2", person.id) == [(b"5",)]


def test_an_invitation(clinic: Clinic) -> None:
    person = clinic.person("invited", password=None)
    db = clinic.enter()
    token = codes.invite(db, clinic.tenant.id, person.id)
    db.commit()
    assert _race(_once(clinic, lambda db: codes.accept(db, clinic.tenant.id, token) is not None)) == 1


def test_codes_of_the_app_and_recovery_codes(clinic: Clinic) -> None:
    person = clinic.person("factors")
    db = clinic.enter()
    secret, _ = totp.offer(db, clinic.tenant.id, person.id)
    app = pyotp.TOTP(secret)
    recovery = totp.begin(db, clinic.tenant.id, person, secret, app.now())
    db.commit()
    assert recovery is not None
    account = accounts.find(clinic.enter(), clinic.tenant.id, person.email)
    code = app.at(int(time.time()) + 30)
    assert _race(_once(clinic, lambda db: totp.check(db, clinic.tenant.id, account, code))) == 1
    assert _race(_once(clinic, lambda db: totp.recover(db, clinic.tenant.id, account, recovery[0]))) == 1


def test_whoever_is_disabled_while_signing_in_is_not_signed_in(clinic: Clinic) -> None:  # smart-45
    person = clinic.person("between")
    browser = clinic.browser()
    assert browser.sign_in(person.email).status == 303
    clinic.sql("UPDATE user_account SET status = 'disabled' WHERE tenant_id = $1 AND user_id = $2 RETURNING 1", person.id)
    assert browser.get("account").status == 303, "the session asks for the account as it is now"
