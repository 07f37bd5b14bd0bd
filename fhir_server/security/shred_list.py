"""What was destroyed for good, kept outside of the database: restoring a backup brings back the list in the database as
it was, and with it what was erased since. `fhir-server erase replay` reads this file.

One JSON object a line: `tenant`, `at`, and `erasure` with `patient` (a number that names nobody), or `keys`.
"""

import json
import os
from datetime import UTC, datetime
from typing import Any

from fhir_server.security import key_ring


def path() -> str:
    """The file: beside the secret key."""
    return str(key_ring.folder().parent / "shred-list.jsonl")


def append(entry: dict[str, Any]) -> None:
    """Add a line, for good before this returns."""
    line = json.dumps({"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", **entry}, sort_keys=True) + "\n"
    handle = os.open(path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def entries(tenant: str) -> list[dict[str, Any]]:
    """The lines of a tenant, oldest first."""
    try:
        with open(path(), encoding="utf-8") as file:
            found = [json.loads(line) for line in file if line.strip()]
    except FileNotFoundError:
        return []
    return [entry for entry in found if entry["tenant"] == tenant]
