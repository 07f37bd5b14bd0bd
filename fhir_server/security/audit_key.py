"""The key that signs the links of the audit chains, and the record of links outside the database.

Who can change the tables has neither this key nor this file. Copy both the public keys (`audit-keys/`) and the file
(`audit-checkpoints.jsonl`) to another machine: what was recorded there cannot be undone here.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fhir_server.settings import settings

_SEED = 32


@dataclass(frozen=True, slots=True)
class SealingKey:
    """An Ed25519 key. `name` is the beginning of its public half's SHA-256; links say by it which key signed them."""

    name: str
    private: Ed25519PrivateKey
    public: bytes

    def sign(self, text: bytes) -> bytes:
        """The signature (64 bytes)."""
        return self.private.sign(text)


def sealing_key() -> SealingKey:
    """The server's key, made on first use: 32 bytes in `audit.key` in the data folder, for its owner only."""
    seed = _read_or_make(Path(settings.data_dir) / "audit.key", lambda: os.urandom(_SEED))
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = SealingKey(sha256(public).hexdigest()[:16], private, public)
    folder = _public_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    _read_or_make(folder / key.name, lambda: public.hex().encode())
    return key


def public_keys() -> dict[str, bytes]:
    """The public halves (raw, 32 bytes) of the present key and of those before it, by name."""
    folder = _public_folder()
    found: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(ValueError):
            public = bytes.fromhex(path.read_text().strip())
            found[sha256(public).hexdigest()[:16]] = public
    return found


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    """Whether the signature is of this key and text."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def record(line: dict[str, Any]) -> None:
    """Append a link to `audit-checkpoints.jsonl`."""
    text = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    handle = os.open(_checkpoints(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, text)
        os.fsync(handle)
    finally:
        os.close(handle)


def recorded() -> Iterator[dict[str, Any]]:
    """The lines of `audit-checkpoints.jsonl`; one cut off by a crash is passed over."""
    path = _checkpoints()
    if not path.exists():
        return
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            with suppress(ValueError):
                yield json.loads(line)


def _checkpoints() -> Path:
    return Path(settings.data_dir) / "audit-checkpoints.jsonl"


def _public_folder() -> Path:
    return Path(settings.data_dir) / "audit-keys"


def _read_or_make(path: Path, content: Any) -> bytes:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    # Written aside and linked into place: of several processes that start at once, one wins and all read its key.
    handle, name = tempfile.mkstemp(dir=settings.data_dir)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
    return path.read_bytes()
