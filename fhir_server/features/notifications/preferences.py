"""Who wants which messages. An address that said STOP gets nothing, whatever else was said; then the person's word
counts, the more exact one first; then what the tenant sends by default.

Addresses and persons stand in the table as keyed hashes: who reads it learns nobody's number.
"""

import hmac
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_server.core.context import Context, Tenant
from fhir_server.features.notifications.kinds import rules
from fhir_server.features.notifications.options import options
from fhir_server.security import key_ring
from fhir_server.storage import message_preferences
from fhir_server.storage.message_preferences import Preference

_LABEL = b"salam message preference key 1"
_MARKS = frozenset("ًٌٍَُِّْٰـ")
_ALEF = str.maketrans("أإآٱة", "ااااه")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is known of a person and the person's addresses. said: {(kind, channel): wanted}, "" for every one."""

    said: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()

    def wants(self, kind: str, channel: str, address: str = "") -> bool:
        """Whether a message of this kind may go to the person through this channel, to this address."""
        if address and normal(address) in self.stopped:
            return False
        for key in ((kind, channel), (kind, ""), ("", channel), ("", "")):
            if key in self.said:
                return self.said[key]
        return kind not in self.silent


def wishes(ctx: Context, person: str, addresses: Iterable[str]) -> Wishes:
    """What counts for this `Type/id` and these addresses (E.164, e-mail)."""
    by_hash = {_hash(ctx.tenant, "address", normal(address)): normal(address) for address in addresses if address}
    own = _hash(ctx.tenant, "person", person)
    found = message_preferences.of(ctx.db, ctx.tenant.id, [own, *by_hash])
    return Wishes(
        {(row.kind, row.channel): row.wanted for row in found if row.whom == own},
        frozenset(by_hash[row.whom] for row in found if row.whom in by_hash and not row.wanted),
        options(ctx.tenant).silent,
    )


def said(ctx: Context, person: str) -> list[Preference]:
    """What the person said, by kind and channel."""
    return message_preferences.of(ctx.db, ctx.tenant.id, [_hash(ctx.tenant, "person", person)])


def say(
    ctx: Context, person: str, kinds: Sequence[str], channels: Sequence[str], *, wanted: bool | None, source: str
) -> None:
    """Keep what a person says of every pair of these ("" is every one); None takes it back. Does not commit."""
    whom = _hash(ctx.tenant, "person", person)
    statements = [
        message_preferences.forget(ctx.tenant.id, whom, kind, channel)
        if wanted is None
        else message_preferences.put(ctx.tenant.id, whom, kind, channel, wanted=wanted, source=source)
        for kind in kinds
        for channel in channels
    ]
    ctx.db.run(statements)


def forget_person(ctx: Context, person: str) -> None:
    """Forget what a person said, because the record is erased. Does not commit."""
    whom = _hash(ctx.tenant, "person", person)
    ctx.db.run([message_preferences.forget_all(ctx.tenant.id, whom)])


def stop(ctx: Context, address: str, source: str = "sms") -> None:
    """Nothing goes to this address any more, through no channel. Does not commit."""
    whom = _hash(ctx.tenant, "address", normal(address))
    ctx.db.run([message_preferences.put(ctx.tenant.id, whom, "", "", wanted=False, source=source)])


def start(ctx: Context, address: str, source: str = "sms") -> None:
    """Take a STOP back. Does not commit."""
    whom = _hash(ctx.tenant, "address", normal(address))
    ctx.db.run([message_preferences.forget(ctx.tenant.id, whom, "", "")])


def stopped(ctx: Context, address: str) -> bool:
    """Whether this address said STOP."""
    return bool(wishes(ctx, "", [address]).stopped)


def word_of(text: str) -> str | None:
    """`stop` or `start` when that is all that a message says, in whatever language; else None.

    Only a message of nothing but the word counts: "do not stop the treatment" is none.
    """
    word = folded(text)
    for meaning, words in rules()["words"].items():
        if word in map(folded, words):
            return str(meaning)
    return None


def normal(address: str) -> str:
    """The address as it is hashed: e-mail in lower case, numbers without blanks."""
    return "".join(address.split()).casefold()


def folded(text: str) -> str:
    """Upper case, without accents, Arabic vowel signs, punctuation and repeated blanks."""
    bare = "".join(sign for sign in unicodedata.normalize("NFD", text.translate(_ALEF)) if not _drops(sign))
    return " ".join("".join(sign if sign.isalnum() else " " for sign in bare).upper().split())


def _drops(sign: str) -> bool:
    return sign in _MARKS or bool(unicodedata.combining(sign)) or unicodedata.category(sign) == "Cf"


def _hash(tenant: Tenant, what: str, text: str) -> bytes:
    return hmac.new(_key(tenant.id, key_ring.key(key_ring.FIRST)), f"{what}\x1f{text}".encode(), sha256).digest()


@lru_cache(maxsize=1024)
def _key(tenant_id: int, material: bytes) -> bytes:
    """The tenant's key for hashing. From the ring's first key, because a hash must stay the same when keys rotate."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL + b"|%d" % tenant_id).derive(material)
