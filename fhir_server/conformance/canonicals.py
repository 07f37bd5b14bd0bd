"""Definitions by canonical url: a tenant's own and installed ones first, then this server's, then R4's.

https://hl7.org/fhir/R4/references.html#canonical
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from fhir_server.conformance import base_definitions
from fhir_server.conformance.definition_bodies import Bodies
from fhir_server.storage import definitions as stored
from fhir_server.storage.definitions import DefinitionRow
from fhir_server.storage.session import Session

# The types that others name by a canonical url and that the engine looks at.
CANONICAL_TYPES = (
    "StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap", "SearchParameter", "OperationDefinition",
    "CapabilityStatement", "ImplementationGuide", "Questionnaire",
)  # fmt: skip
_NUMBER = re.compile(r"[0-9]+|[A-Za-z]+")


def version_order(version: str) -> tuple[Any, ...]:
    """A key by which versions are compared: numbers as numbers, `1.0.0` after `1.0.0-ballot`."""
    core, _, label = version.partition("-")
    return _parts(core), label == "", _parts(label)


def _parts(text: str) -> tuple[tuple[int, int, str], ...]:
    # A number by its length and digits: `int` refuses very long ones, and a version is any text.
    words = ((word.lstrip("0") if word.isdigit() else word, word.isdigit()) for word in _NUMBER.findall(text))
    return tuple((1, len(word), word) if number else (0, 0, word) for word, number in words)


class Canonicals:
    """What definitions a tenant has, at one registry version. Retired ones and drafts are found too, after the active
    ones; of several, the highest version and then the newest."""

    def __init__(self, rows: Iterable[DefinitionRow], type_ids: Mapping[str, int]) -> None:
        self._type_ids = type_ids
        self._rows: dict[tuple[int, str], list[DefinitionRow]] = {}
        for row in rows:
            self._rows.setdefault((row.type_id, row.url), []).append(row)
        for held in self._rows.values():
            held.sort(key=lambda row: (row.status == "active", version_order(row.version), row.rid), reverse=True)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def find(self, resource_type: str, canonical: str) -> DefinitionRow | None:
        """The row of a canonical, `url` or `url|version`; a version is matched exactly, or by its beginning (`1.0` for
        `1.0.3`)."""
        url, _, version = canonical.partition("#")[0].partition("|")
        held = self._rows.get((self._type_ids[resource_type], url), ())
        if not version:
            return held[0] if held else None
        exact = (row for row in held if row.version == version)
        return next(exact, None) or next((row for row in held if row.version.startswith(f"{version}.")), None)

    def each(self, resource_type: str) -> Iterator[DefinitionRow]:
        """Every row of a type: all versions of every url."""
        wanted = self._type_ids[resource_type]
        return (row for (type_id, _), held in self._rows.items() if type_id == wanted for row in held)

    def all(self, resource_type: str) -> Iterator[DefinitionRow]:
        """The best row of every url of a type."""
        wanted = self._type_ids[resource_type]
        return (held[0] for (type_id, _), held in self._rows.items() if type_id == wanted)


class Definitions:
    """Finds definitions for one piece of work, whoever asks: what a caller may read is not its business. Bodies are
    read when they are needed and remembered by version, which never changes. Nobody changes what he is given."""

    def __init__(self, canonicals: Canonicals, db: Session | None, tenant_id: int) -> None:
        self.canonicals = canonicals
        self._db = db
        self._tenant_id = tenant_id

    def find(self, resource_type: str, canonical: str) -> dict[str, Any] | None:
        """The definition, or None when nobody has it."""
        row = self.canonicals.find(resource_type, canonical)
        found = None if row is None else self.body(row)
        return found if found is not None else base_definitions.find(resource_type, canonical)

    def body(self, row: DefinitionRow) -> dict[str, Any] | None:
        """The resource of a row, as it was when the rows were read; None when it was erased since."""
        key = (self._tenant_id, row.rid, row.revision)
        known = _bodies.get(key)
        if known is None and self._db is not None:
            text = stored.body(self._db, self._tenant_id, row.rid, row.revision)
            known = None if text is None else _bodies.put(key, text)
        return known


_bodies = Bodies(64 << 20)


@lru_cache(maxsize=1)
def no_canonicals() -> Canonicals:
    """Of a tenant without definitions."""
    return Canonicals((), dict.fromkeys(CANONICAL_TYPES, 0))
