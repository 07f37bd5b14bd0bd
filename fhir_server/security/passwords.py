"""Passwords: argon2id with OWASP's parameters, and which ones are too weak to take.

https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html and NIST SP 800-63B 5.1.1.2: length
counts, lists of known passwords count, rules about kinds of characters do not.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_FILE = Path(__file__).resolve().parents[2] / "profiles" / "security" / "common_passwords.txt"
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
SHORTEST, LONGEST = 12, 256
_DISTINCT = 5
_LEET = str.maketrans("0134578@$!", "oleastbasi")


def hash_password(password: str) -> str:
    """The argon2id hash to store."""
    return _hasher.hash(_normal(password))


def verify(stored: str | None, password: str) -> bool:
    """Whether a password is the stored one. Takes as long without a stored one: nobody can time who has an account."""
    known = bool(stored) and len(password) <= LONGEST
    try:
        matches = _hasher.verify(stored if stored and known else _nobody(), _normal(password[:LONGEST]))
    except (VerificationError, InvalidHashError):
        return False
    return matches and known


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def weakness(password: str, *known: str, shortest: int = SHORTEST) -> str:
    """Why a password is not taken: `short`, `long`, `common`, `known` (it is made of the `known` texts: address,
    name), or "" for a good one."""
    if len(password) < shortest:
        return "short"
    if len(password) > LONGEST:
        return "long"
    folded = _normal(password).casefold()
    if any(part in folded and len(part) * 2 >= len(folded) for part in _parts(known)):
        return "known"
    if len(set(folded)) < _DISTINCT or _listed(folded):
        return "common"
    return ""


def _parts(known: tuple[str, ...]) -> list[str]:
    texts = [text.casefold() for text in known if text]
    return [part for text in texts for part in (text, text.partition("@")[0]) if len(part) >= 3]


def _listed(folded: str) -> bool:
    """Whether it is a known password, also when written with digits for letters or with a tail of digits and marks."""
    trimmed = folded.strip("0123456789!?.*#$@-_ ")
    forms = {folded, trimmed, folded.translate(_LEET), trimmed.translate(_LEET)}
    halves = {form[: len(form) // 2] for form in forms if form[: len(form) // 2] * 2 == form}
    return bool((forms | halves) & _common())


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    lines = _FILE.read_text(encoding="utf-8").split("\n")
    return frozenset(line.casefold() for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher.hash("nobody has this password")


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
