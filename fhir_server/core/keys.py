"""The 64-bit and 32-bit hashes that index tables hold.

BLAKE2b, because compartment membership is one of these keys and resource ids are chosen by clients:
a second preimage must not be constructible.
"""

import struct
from collections.abc import Collection
from functools import lru_cache
from hashlib import blake2b

_int64 = struct.Struct(">q").unpack
_int32 = struct.Struct(">i").unpack

PRESENT = "\x01"
TYPE_PARAM = "~type"


def key64(text: str) -> int:
    """Signed 64-bit hash of `text`."""
    return int(_int64(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())[0])


@lru_cache(maxsize=65536)
def token_key(resource_type: str, param: str, form: str) -> int:
    """Key of one indexed form of a parameter: `code`, `system|code`, `|code`, `system|`, a uri, `Type/id`."""
    return key64(f"{resource_type}\x1f{param}\x1f{form}")


@lru_cache(maxsize=8192)
def present_key(resource_type: str, param: str) -> int:
    """Key that says: the resource has a value for `param` (answers `:missing` on the row)."""
    return key64(f"{resource_type}\x1f{param}\x1f{PRESENT}")


@lru_cache(maxsize=1024)
def type_key(resource_type: str) -> int:
    """Key that every resource of the type has; its index rows are the type in time order."""
    return key64(f"{resource_type}\x1f{TYPE_PARAM}")


@lru_cache(maxsize=65536)
def compartment_key(compartment: str, member: str, resource_type: str) -> int:
    """Key of membership in a compartment: `("Patient", "123", "Observation")`. One per resource type, so that
    compartment search and `$everything` are ordered walks of exactly the wanted types."""
    return key64(f"~{compartment}/{member}\x1f{resource_type}")


@lru_cache(maxsize=65536)
def patient_key(patient_id: str) -> int:
    """Key of membership in a patient's compartment whatever the resource's type: for checks on a row in hand."""
    return key64(f"~Patient/{patient_id}")


def gone_key(key: int) -> int:
    """Key under which a deleted resource is found that had this compartment or type key: by the history of a record."""
    return key64(f"~gone\x1f{key}")


def gone_among(keys: Collection[int]) -> list[int]:
    """Of a deleted resource's keys, those under which it is found."""
    gone = {gone_key(key) for key in keys}
    return [key for key in keys if key in gone]


@lru_cache(maxsize=4096)
def label_key(system: str | None, code: str) -> int:
    """Key of a security label in `meta.security`, whatever the resource's type."""
    return key64(f"~label\x1f{system or ''}|{code}")


@lru_cache(maxsize=65536)
def self_key(resource_type: str, resource_id: str) -> int:
    """Key of a resource's own identity `Type/id`; what `reference.target` holds for local references."""
    return key64(f"{resource_type}/{resource_id}")


@lru_cache(maxsize=65536)
def target_key(reference: str) -> int:
    """`reference.target` of any reference text: `Type/id`, an absolute URL, a urn, or a canonical."""
    return key64(reference)


@lru_cache(maxsize=8192)
def param_id(resource_type: str, param: str) -> int:
    """Signed 32-bit id of a parameter of a type, for the date, string, quantity and reference tables."""
    return int(_int32(blake2b(f"{resource_type}\x1f{param}".encode(), digest_size=4).digest())[0])


@lru_cache(maxsize=16384)
def unit_key(system: str | None, code: str | None, prefix: str = "") -> int:
    """Key of a quantity's unit. `prefix` carries the code part of a `code$quantity` composite."""
    return key64(f"{prefix}\x1f{system or ''}\x1f{code or ''}")
