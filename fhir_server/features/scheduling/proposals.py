"""Ids of proposals: what $find proposes is not stored, so the id says all that is needed to book it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

from fhir_server.core.errors import NotFound

PREFIX = "proposal-"
MOST_SCHEDULES = 3
# Rows of service and Schedules (0: none), UTC minute of the start, minutes, and a check against typing errors.
_LAYOUT = struct.Struct(">4QIHB")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: number for number, digit in enumerate(_DIGITS)}


@dataclass(frozen=True, slots=True)
class Proposal:
    """`service`: rid of the HealthcareService, 0 for none; `schedules`: rids, the main one first; `start`: UTC minutes
    since 1970; `minutes`: how long."""

    service: int
    schedules: tuple[int, ...]
    start: int
    minutes: int


def encode(proposal: Proposal) -> str:
    """The id, a FHIR id of at most 63 characters."""
    rids = (*proposal.schedules, 0, 0)[:MOST_SCHEDULES]
    packed = _LAYOUT.pack(proposal.service, *rids, proposal.start, proposal.minutes, 0)[:-1]
    number = int.from_bytes(packed + _check(packed))
    digits = []
    while number:
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return PREFIX + "".join(reversed(digits))


def decode(text: str) -> Proposal:
    """What an id says. Raises `NotFound` for one that $find never gave."""
    number = 0
    for digit in text.removeprefix(PREFIX):
        number = number * 62 + _VALUES.get(digit, 1 << 400)
    packed = number.to_bytes(_LAYOUT.size) if 0 < number < 1 << 8 * _LAYOUT.size else b""
    if not text.startswith(PREFIX) or len(text) > 64 or not packed or packed[-1:] != _check(packed[:-1]):
        raise NotFound("This is not the id of an Appointment that $find proposed. Call $find again.")
    service, *rids, start, minutes, _ = _LAYOUT.unpack(packed)
    return Proposal(service, tuple(rid for rid in rids if rid), start, minutes)


def _check(packed: bytes) -> bytes:
    return bytes([crc32(packed) & 0xFF])
