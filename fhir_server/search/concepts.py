"""Searching by what a terminology says of codes: `:in`, `:not-in`, `:below`, `:above`.

The codes that the tenant uses on a parameter are joined with the concepts of a value set or a branch, so that neither
is ever listed, however large. https://hl7.org/fhir/R4/search.html#token
"""

from array import array
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.errors import NotFound
from fhir_server.core.keys import param_id, token_key
from fhir_server.core.references import local_form, parse_literal
from fhir_server.core.spans import NONE, Spans
from fhir_server.search import used_concepts
from fhir_server.search.elements import targets_of
from fhir_server.search.leaves import Keys, coded
from fhir_server.search.tree import Node, Nothing
from fhir_server.search.used_concepts import UsedConcepts
from fhir_server.storage import used_codes
from fhir_server.storage.session import Row, Session, Statement
from fhir_server.storage.used_codes import Found
from fhir_server.terminology import compose
from fhir_server.terminology.definitions import Definitions, identity
from fhir_server.terminology.resources import Held
from fhir_server.terminology.stored import StoredSystem
from fhir_server.terminology.supplements import Supplemented
from fhir_server.terminology.systems import Selection, System

# Up to so many concepts are looked up among the codes in use by a statement.
_FEW = 2000


class _Keys:
    """The keys of the codes that are found, as exact forms and as bare codes."""

    def __init__(self, param: SearchParam) -> None:
        self.param = param
        self.exact, self.bare = array("q"), array("q")

    def add(self, codes: Found) -> None:
        """Take codes with the keys of their exact forms."""
        self.exact.extend([key for _, key in codes])
        self.bare.extend([token_key(self.param.resource_type, self.param.code, code) for code, _ in codes])

    def node(self, *, drives: bool = True) -> Node:
        """The condition; on nothing when there is none. What does not drive is only checked, by the exact forms."""
        if not self.exact:
            return Nothing()
        return coded(self.exact, self.bare) if drives else Keys(tuple(dict.fromkeys(self.exact)), False)


@dataclass(frozen=True, slots=True)
class _Few:
    """Few enough concepts for a statement to say which of them are in use."""

    statement: Statement

    def take(self, keys: _Keys, rows: Sequence[Row]) -> None:
        keys.add(used_codes.found(rows))


@dataclass(frozen=True, slots=True)
class _Many:
    """Concepts that are compared here with those in use."""

    system: System
    concepts: Spans
    key: Hashable | None
    known: UsedConcepts
    statement: Statement

    def take(self, keys: _Keys, rows: Sequence[Row]) -> None:
        settled = used_concepts.settled(self.key, self.known, rows, keys.param, self.system)
        exact, bare = settled.among(self.concepts)
        keys.exact += exact
        keys.bare += bare


class Concepts:
    """What the terminologies that a caller may know of say of a tenant's codes, in one request."""

    def __init__(
        self,
        db: Session,
        tenant_id: int,
        base: str,
        open_definitions: Callable[[], Definitions],
        read_value_set: Callable[[str], Held | None],
    ) -> None:
        """`open_definitions` is called when a search first needs them; `read_value_set` reads one by its id."""
        self._db, self._tenant_id, self._base = db, tenant_id, base
        self._open, self._read = open_definitions, read_value_set

    @cached_property
    def definitions(self) -> Definitions:
        """The code systems and value sets that the caller may know of."""
        return self._open()

    def selection(self, value_set: str) -> Selection:
        """A value set by its canonical or as `ValueSet/id`, worked out. Raises `NotFound`, `Unprocessable`, `TooCostly`
        or `NotLocal`."""
        return compose.selection(self.definitions, self._value_set(value_set))

    def _value_set(self, text: str) -> Mapping[str, Any]:
        literal = parse_literal(local_form(text, self._base))
        if literal is None or literal.base is not None or literal.type != "ValueSet":
            return self.definitions.value_set(text)
        held = self._read(literal.id)
        if held is None:
            raise NotFound("There is no such value set on this server.")
        return self.definitions.remember(held)

    def members(self, param: SearchParam, chosen: Sequence[Selection], *, drives: bool = True) -> Node:
        """A resource has a code that one of the value sets has. `drives`: a search may begin with it."""
        keys = _Keys(param)
        for each in chosen:
            listed: dict[str, list[str]] = {}
            for system, code in each.listed:
                listed.setdefault(system, []).append(code)
            self._used(keys, [(part.system, part.concepts) for part in each.parts], listed)
        return keys.node(drives=drives)

    def related(self, param: SearchParam, codes: Iterable[tuple[str, str]], *, above: bool) -> Node:
        """A resource has one of the codes (system, code), or one in use that they subsume, or that subsumes them. In a
        system that is not here a code subsumes itself alone."""
        wanted: dict[str, Spans] = {}
        keys = _Keys(param)
        bare = _has_bare(self.definitions.registry, param)
        for system, code in codes:
            forms = [f"{system}|{code}", *([code] if bare else [])]
            keys.add([(code, token_key(param.resource_type, param.code, form)) for form in forms])
            held = self.definitions.system(system)
            if held is not None:
                # Where case does not matter, the code itself may be in use in another spelling.
                itself = NONE if held.case_sensitive else Spans.of(held.numbers([code]).values())
                related = held.above(code) if above else held.below(code)
                wanted[system] = wanted.get(system, NONE) | related | itself
        self._used(keys, [(self.definitions.require(system), spans) for system, spans in wanted.items() if spans], {})
        return keys.node()

    def _used(
        self, keys: _Keys, parts: Sequence[tuple[System, Spans]], listed: Mapping[str, Sequence[str]]
    ) -> None:
        """Take those of these concepts and listed codes that are in use: one question, and one more where it takes the
        system itself to say which concept a code is."""
        param = keys.param
        number, bare = param_id(param.resource_type, param.code), _has_bare(self.definitions.registry, param)
        sent: list[Statement] = [
            used_codes.of_codes(self._tenant_id, number, _systems(system, bare), codes)
            for system, codes in listed.items()
        ]
        asked = [self._asked(number, bare, system, concepts) for system, concepts in parts]
        sent += [each.statement for each in asked]
        answers = used_codes.answers(self._db, self._tenant_id, sent) if sent else []
        for rows in answers[: len(listed)]:
            keys.add(used_codes.found(rows))
        for each, rows in zip(asked, answers[len(listed) :], strict=True):
            each.take(keys, rows)

    def _asked(self, param: int, bare: bool, system: System, concepts: Spans) -> _Few | _Many:
        systems = _systems(system.url, bare)
        if not system.case_sensitive or concepts.count > _FEW:
            content = identity(system)
            key = None if content is None else (self._tenant_id, param, bare, content)
            known = used_concepts.known(key)
            return _Many(system, concepts, key, known, used_codes.unless(self._tenant_id, param, systems, known.mark))
        stored = _stored(system)
        if stored is not None:
            at = stored.tenant_id, stored.system_id
            return _Few(used_codes.of_concepts(self._tenant_id, param, systems, at, concepts))
        codes = [concept.code for concept in system.page(list(concepts))]
        return _Few(used_codes.of_codes(self._tenant_id, param, systems, codes))


def _has_bare(registry: Registry, param: SearchParam) -> bool:
    """Whether the parameter reads `code` elements, whose system is not told."""
    return any(target.element.type == "code" for target in targets_of(registry, param))


def _systems(url: str, bare: bool) -> list[str]:
    return [url, ""] if bare else [url]


def _stored(system: System) -> StoredSystem | None:
    inner = system.inner if isinstance(system, Supplemented) else system
    return inner if isinstance(inner, StoredSystem) else None
