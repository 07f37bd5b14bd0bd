"""The server's own keys: they wrap the tenants' data keys and never seal anything else.

The first is derived from the secret key, so that a server needs no further file to begin with. `fhir-server keys
rotate` adds others as files of 32 random bytes in the folder `key-ring` beside the secret key; the newest wraps. All
web processes need the same folder, and what is sealed in a backup of the database cannot be read without it.
"""

import contextlib
import os
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_server.settings import settings

FIRST = "first"
_LABEL = b"salam key-wrapping key 1"
_SUFFIX = ".key"


class MissingKey(Exception):
    """A data key is wrapped by a key that is not in this server's ring."""


def folder() -> Path:
    """Where the ring's files lie."""
    file = settings.secret_key_file or os.path.join(settings.data_dir, "secret.key")
    return Path(file).parent / "key-ring"


def names() -> list[str]:
    """The keys' names, oldest first."""
    return [FIRST, *sorted(file.name.removesuffix(_SUFFIX) for file in folder().glob(f"*{_SUFFIX}"))]


def key(name: str) -> bytes:
    """A key's 32 bytes. Raises `MissingKey`."""
    if name == FIRST:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(settings.secret_key())
    try:
        material = (folder() / (name + _SUFFIX)).read_bytes()
    except OSError:
        material = b""
    if len(material) != 32 or os.sep in name:
        raise MissingKey(f"The key {name} is not in {folder()}.")
    return material


def newest() -> str:
    """The name of the key that wraps now."""
    return names()[-1]


def add() -> str:
    """Make a new key, which wraps from now on, and give its name."""
    place = folder()
    place.mkdir(mode=0o700, exist_ok=True)
    # Names sort by time.
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
    handle, aside = tempfile.mkstemp(dir=place)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, place / (name + _SUFFIX))
    finally:
        os.unlink(aside)
    with contextlib.suppress(OSError):
        entry = os.open(place, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)
    return name
