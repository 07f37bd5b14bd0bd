"""Encryption of what must be read back: second factors, mail, signing keys, details of the audit log.

Envelope: AES-256-GCM under a data key of the tenant; the data key lies in the database, wrapped by a key of the
server's ring (`key_ring`). Tenant, purpose and key id are authenticated along: a sealed value opens only where it was
sealed for. A key seals at most some 2^32 values (random nonces of 96 bits, NIST SP 800-38D 8.3): rotate yearly.
"""

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from os import urandom
from struct import Struct
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.security import key_ring
from fhir_server.storage import data_keys
from fhir_server.storage.data_keys import DataKey
from fhir_server.storage.session import Session

_log = logging.getLogger(__name__)
# Format 1: version, key id, nonce, then ciphertext with its tag.
_HEAD = Struct(">BI")
_VERSION = 1
_NONCE = 12
_START = _HEAD.size + _NONCE
# A destroyed or replaced key is out of every process after this long.
_REMEMBERED_S = 30.0
_MOST = 10_000
_Place = TypeVar("_Place", int, tuple[int, int])


class Unsealable(Exception):
    """The value was not sealed for this tenant and purpose, was changed, or its key was destroyed."""


@dataclass(frozen=True, slots=True)
class _Open:
    key_id: int
    head: bytes
    cipher: AESGCM
    until: float


_sealing: OrderedDict[int, _Open] = OrderedDict()
_reading: OrderedDict[tuple[int, int], _Open] = OrderedDict()


def seal(db: Session, tenant_id: int, plain: bytes, purpose: str) -> bytes:
    """Encrypt for a tenant and a purpose; makes the tenant's first key when it has none.

    The session must have entered the tenant. A transaction that is open stays open, none is left open.
    """
    key = _sealing.get(tenant_id)
    if key is None or key.until < time.monotonic():
        key = _newest(db, tenant_id)
    nonce = urandom(_NONCE)
    return key.head + nonce + key.cipher.encrypt(nonce, plain, _bound(tenant_id, purpose, key.key_id))


def unseal(db: Session, tenant_id: int, sealed: bytes, purpose: str) -> bytes:
    """What `seal` was given. Raises `Unsealable`."""
    if len(sealed) <= _START or sealed[0] != _VERSION:
        raise Unsealable("This is not a sealed value.")
    key_id: int = _HEAD.unpack_from(sealed)[1]
    key = _reading.get((tenant_id, key_id))
    if key is None or key.until < time.monotonic():
        key = _one(db, tenant_id, key_id)
    try:
        return key.cipher.decrypt(sealed[_HEAD.size:_START], sealed[_START:], _bound(tenant_id, purpose, key_id))
    except InvalidTag:
        # Nobody can come here by what they send: somebody or something changed the database.
        _log.error("a sealed value does not open: tenant %d, purpose %s, key %d", tenant_id, purpose, key_id)
        raise Unsealable("The sealed value was changed or belongs elsewhere.") from None


def key_of(sealed: bytes) -> int:
    """The id of the key that sealed a value."""
    return int(_HEAD.unpack_from(sealed)[1])


def rotate(db: Session, tenant_id: int) -> int:
    """Give the tenant a new data key and its id; what older keys sealed stays readable. Commits unless the session is
    in a transaction."""
    found = data_keys.newest(db, tenant_id)
    _add(db, tenant_id, found.key_id + 1 if found else 1)
    forget(tenant_id)
    return _newest(db, tenant_id).key_id


def rewrap(db: Session, tenant_id: int) -> int:
    """Wrap the tenant's data keys by the newest key of the ring; how many were not yet."""
    name = key_ring.newest()
    old = [key for key in data_keys.wrapped_keys(db, tenant_id) if key.wrapped_by != name]
    for key in old:
        data_keys.rewrap(db, tenant_id, key, _wrap(tenant_id, key.key_id, _unwrap(tenant_id, key), name), name)
    return len(old)


def destroy(db: Session, tenant_id: int, *, upto: int = 2**31 - 1) -> int:
    """Destroy the data keys of the tenant (with ids up to `upto`), and with them everything that they sealed; how many
    there were. Other processes forget the keys within 30 seconds."""
    gone = data_keys.destroy(db, tenant_id, upto)
    forget(tenant_id)
    return len(gone)


def forget(tenant_id: int) -> None:
    """Drop what this process remembers of the tenant's keys."""
    _sealing.pop(tenant_id, None)
    for known in [known for known in _reading if known[0] == tenant_id]:
        _reading.pop(known, None)


def _newest(db: Session, tenant_id: int) -> _Open:
    found = data_keys.newest(db, tenant_id)
    if found is None or found.destroyed:
        # The id comes from what was just read: of several that find no key at once, one adds it and all use it.
        _add(db, tenant_id, found.key_id + 1 if found else 1)
        found = data_keys.newest(db, tenant_id)
    if found is None or found.destroyed:
        raise Unsealable("The tenant's key could not be made.")
    key = _opened(tenant_id, found)
    if found.lasting:
        _remember(_sealing, tenant_id, key)
        _remember(_reading, (tenant_id, found.key_id), key)
    return key


def _one(db: Session, tenant_id: int, key_id: int) -> _Open:
    found = data_keys.find(db, tenant_id, key_id) if key_id < 2**31 else None
    if found is None or found.destroyed:
        raise Unsealable("The key of this value does not exist or was destroyed.")
    key = _opened(tenant_id, found)
    if found.lasting:
        _remember(_reading, (tenant_id, key_id), key)
    return key


def _remember(known: OrderedDict[_Place, _Open], place: _Place, key: _Open) -> None:
    known[place] = key
    if len(known) > _MOST:
        known.popitem(last=False)


def _add(db: Session, tenant_id: int, key_id: int) -> None:
    name = key_ring.newest()
    data_keys.add(db, tenant_id, key_id, _wrap(tenant_id, key_id, urandom(32), name), name)


def _opened(tenant_id: int, found: DataKey) -> _Open:
    cipher = AESGCM(_unwrap(tenant_id, found))
    return _Open(found.key_id, _HEAD.pack(_VERSION, found.key_id), cipher, time.monotonic() + _REMEMBERED_S)


def _wrap(tenant_id: int, key_id: int, plain: bytes, name: str) -> bytes:
    nonce = urandom(_NONCE)
    return nonce + AESGCM(key_ring.key(name)).encrypt(nonce, plain, _bound(tenant_id, f"data key|{name}", key_id))


def _unwrap(tenant_id: int, key: DataKey) -> bytes:
    wrapper = AESGCM(key_ring.key(key.wrapped_by))
    bound = _bound(tenant_id, f"data key|{key.wrapped_by}", key.key_id)
    try:
        return wrapper.decrypt(key.wrapped[:_NONCE], key.wrapped[_NONCE:], bound)
    except (InvalidTag, ValueError):
        raise Unsealable("The tenant's data key does not open: was the secret key replaced?") from None


def _bound(tenant_id: int, purpose: str, key_id: int) -> bytes:
    return f"{tenant_id}|{purpose}|{key_id}".encode()
