"""Statements that read imported code systems. Concepts are named by number; `at` is where a system's rows are."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from sys import byteorder
from typing import Any

import msgspec

from fhir_server.core.spans import NONE, Spans
from fhir_server.storage import wire
from fhir_server.storage.session import Row, Session, Statement

# Tenant of what the site shares with everybody.
SITE = 0
INACTIVE, ABSTRACT = 1, 2
# Kinds of postings.
WORD, PREFIX, PROPERTY, CODE = "w", "x", "p", "c"
At = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SystemRow:
    """An imported code system. `described`: name, title, content, caseSensitive, hierarchical, properties {code: type},
    languages, and what else its importer says of it."""

    tenant_id: int
    system_id: int
    url: str
    version: str
    status: str
    concepts: int
    described: dict[str, Any]
    source: str
    imported_at: str


@dataclass(frozen=True, slots=True)
class ConceptRow:
    """A concept. `detail`: JSON text of what there is to say besides, or empty; `parents`: their codes."""

    number: int
    code: str
    display: str
    flags: int
    detail: bytes
    parents: tuple[str, ...]


_INSTANT = 'to_char(imported_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'
SYSTEMS = (
    f"SELECT tenant_id, system_id, url, version, status, concepts, described, source, {_INSTANT} FROM concept_system"
    " WHERE tenant_id IN ($1, 0) AND ($2::text IS NULL OR url = $2) ORDER BY tenant_id DESC, url, system_id DESC"
)


def systems(db: Session, tenant_id: int, url: str | None = None) -> list[SystemRow]:
    """The systems that a tenant may use or is loading, its own before the site's; of one url when it is given."""
    return [system_row(row) for row in db.run([(SYSTEMS, (tenant_id, url))])[0]]


def system_row(row: Row) -> SystemRow:
    """A system from its columns."""
    values = [(value or b"").decode() for value in row]
    tenant_id, system_id, url, version, status, count, described, source, imported = values
    said = msgspec.json.decode(described)
    return SystemRow(int(tenant_id), int(system_id), url, version, status, int(count), said, source, imported)


# One probe for each code or number (that is what OFFSET 0 is for): with a plain join or a list in `= ANY`, and before
# the table's statistics are made, PostgreSQL would look through all concepts of the system.
_WITH_PARENTS = (
    "SELECT c.number, c.code, c.display, c.flags, c.detail, CASE WHEN c.parents = '{}' THEN '[]'::json ELSE"
    " to_json(ARRAY(SELECT p.code FROM unnest(c.parents) WITH ORDINALITY AS u(number, place) CROSS JOIN LATERAL"
    " (SELECT code FROM concept WHERE tenant_id = $1 AND system_id = $2 AND number = u.number OFFSET 0) p"
    " ORDER BY u.place)) END"
)
_BY_CODE = (
    f"{_WITH_PARENTS} FROM unnest($3::text[]) AS n(code) CROSS JOIN LATERAL (SELECT * FROM concept"
    " WHERE tenant_id = $1 AND system_id = $2 AND code = n.code OFFSET 0) c"
)
_BY_NUMBER = (
    f"{_WITH_PARENTS} FROM unnest($3::int[]) WITH ORDINALITY AS n(number, place) CROSS JOIN LATERAL"
    " (SELECT * FROM concept WHERE tenant_id = $1 AND system_id = $2 AND number = n.number OFFSET 0) c ORDER BY n.place"
)
_NUMBERS = (
    "SELECT json_object_agg(c.code, c.number) FROM unnest($3::text[]) AS n(code) CROSS JOIN LATERAL"
    " (SELECT code, number FROM concept WHERE tenant_id = $1 AND system_id = $2 AND code = n.code OFFSET 0) c"
)


def by_code(db: Session, at: At, codes: Sequence[str]) -> ConceptRow | None:
    """The concept that has one of these codes, the earlier in the list before the later."""
    found = _concepts(db.run([(_BY_CODE, (*at, wire.texts(codes)))])[0])
    return min(found, key=lambda row: codes.index(row.code), default=None)


def by_number(db: Session, at: At, numbers: Sequence[int]) -> list[ConceptRow]:
    """The concepts of these numbers, in this order; a number that there is not is left out."""
    return _concepts(db.run([(_BY_NUMBER, (*at, wire.integers(numbers)))])[0]) if numbers else []


def numbers(db: Session, at: At, codes: Iterable[str]) -> dict[str, int]:
    """The numbers of those of the codes that there are."""
    rows = db.run([(_NUMBERS, (*at, wire.texts(codes)))])[0]
    found: dict[str, int] = msgspec.json.decode(rows[0][0] or b"{}", type=dict[str, int])
    return found


def _concepts(rows: Sequence[Row]) -> list[ConceptRow]:
    found = []
    for row in rows:
        number, code, display, flags, detail, parents = (value or b"" for value in row)
        above = () if parents == b"[]" else tuple(msgspec.json.decode(parents))
        found.append(ConceptRow(int(number), code.decode(), display.decode(), int(flags), detail, above))
    return found


_BELOW = "SELECT below FROM concept WHERE tenant_id = $1 AND system_id = $2 AND code = $3"
_ABOVE = (
    "WITH RECURSIVE up(number) AS (SELECT unnest(parents) FROM concept WHERE tenant_id = $1 AND system_id = $2"
    " AND code = $3 UNION SELECT unnest(c.parents) FROM up CROSS JOIN LATERAL (SELECT parents FROM concept"
    " WHERE tenant_id = $1 AND system_id = $2 AND number = up.number OFFSET 0) c) SELECT number FROM up"
)


def below(db: Session, at: At, code: str) -> Spans:
    """The numbers of what a code subsumes."""
    rows = db.run([(_BELOW, (*at, code))])[0]
    text = (rows[0][0] or b"").strip(b"{}") if rows else b""
    return Spans.ascending(array("i", [int(end) for end in text.translate(None, b"[)").split(b",")] if text else []))


def above(db: Session, at: At, code: str) -> list[int]:
    """The numbers of what subsumes a code."""
    return [int(number or b"") for (number,) in db.run([(_ABOVE, (*at, code))])[0]]


_POSTED = "SELECT numbers FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 AND kind = $3 AND key = $4"
_POSTED_BETWEEN = (
    "SELECT key, numbers FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 AND kind = $3"
    " AND key >= $4 AND key < $5 ORDER BY key"
)
_KEPT = "SELECT 1 FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 AND kind = 'x' AND key = $3"
_BEGUN = (
    "SELECT numbers FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 AND kind = 'x' AND key = $3"
    " UNION ALL SELECT numbers FROM concept_posting WHERE tenant_id = $1 AND system_id = $2 AND kind IN ('w', 'c')"
    f" AND key >= $3 AND key < $4 AND NOT EXISTS ({_KEPT})"
)
_BEGUN_CODES = (
    "SELECT number FROM concept WHERE tenant_id = $1 AND system_id = $2 AND code >= $4 AND code < $5"
    f" AND NOT EXISTS ({_KEPT})"
)
_LAST = "\U0010ffff"


def posting(db: Session, at: At, kind: str, key: str) -> Spans:
    """The concepts of one posting."""
    rows = db.run([(_POSTED, (*at, kind, key))])[0]
    return Spans.ascending(_ends(rows[0][0])) if rows else NONE


def postings(db: Session, at: At, kind: str, beginning: str) -> list[tuple[str, Spans]]:
    """Every posting whose key begins so, by key, without that beginning."""
    rows = db.run([(_POSTED_BETWEEN, (*at, kind, beginning, beginning + _LAST))])[0]
    cut = len(beginning)
    return [((key or b"").decode()[cut:], Spans.ascending(_ends(packed))) for key, packed in rows]


def beginning(db: Session, at: At, words: Sequence[str]) -> list[Spans]:
    """For each word (folded) the concepts of which a word or the code begins so, in one round trip."""
    statements: list[Statement] = []
    for word in words:
        statements.append((_BEGUN, (*at, word, word + _LAST)))
        # Codes stand under themselves: in small or in capital letters; what mixes them is in a posting.
        for code in dict.fromkeys((word, word.upper())):
            statements.append((_BEGUN_CODES, (*at, word, code, code + _LAST)))
    answers = iter(db.run(statements))
    found = []
    for word in words:
        held = [_ends(packed) for (packed,) in next(answers)]
        some = [int(number or b"") for _ in dict.fromkeys((word, word.upper())) for (number,) in next(answers)]
        if len(held) == 1 and not some:
            found.append(Spans.ascending(held[0]))
        else:
            ranges = chain.from_iterable(zip(ends[::2], ends[1::2], strict=True) for ends in held)
            found.append(Spans([*ranges, *((number, number + 1) for number in some)]))
    return found


def little_endian(ends: "array[int]") -> bytes:
    """The ends of ranges (first, last + 1, first, ...) as a posting holds them."""
    if byteorder == "big":
        ends.byteswap()
    return ends.tobytes()


def _ends(text: bytes | None) -> "array[int]":
    ends = array("i", bytes.fromhex((text or b"\\x")[2:].decode()))
    if byteorder == "big":
        ends.byteswap()
    return ends
