"""Searching by what a terminology says of codes: `:in`, `:not-in`, `:below`, `:above`.

The codes that the tenant uses on a parameter are joined with the concepts of a value set or a branch, so that neither
is ever listed, however large. https://hl7.org/fhir/R4/search.html#token
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from fhir_server.conformance.registry import Registry
from fhir_server.conformance.search_parameters import SearchParam
from fhir_server.core.errors import NotFound
from fhir_server.core.keys import param_id, token_key
from fhir_server.core.references import local_form, parse_literal
from fhir_server.core.spans import Spans
from fhir_server.search.elements import targets_of
from fhir_server.storage import used_codes
from fhir_server.storage.session import Session, Statement
from fhir_server.storage.used_codes import Found
from fhir_server.terminology import compose
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.resources import Held
from fhir_server.terminology.stored import StoredSystem
from fhir_server.terminology.supplements import Supplemented
from fhir_server.terminology.systems import Selection, System

# Of a system in memory: the codes of up to so many concepts are looked up among the used ones, else the other way.
_FEW = 2000
# More ranges than this are cheaper compared here than sent.
_MOST_RANGES = 20_000
# Keys of the exact form and of the bare code, as `search.leaves.tokens` takes them.
Form = tuple[int, int]


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

    def members(self, param: SearchParam, chosen: Selection) -> list[Form]:
        """The codes in use that a value set has."""
        listed: dict[str, list[str]] = {}
        for system, code in chosen.listed:
            listed.setdefault(system, []).append(code)
        return self._used(param, [(part.system, part.concepts) for part in chosen.parts], listed)

    def related(self, param: SearchParam, codes: Iterable[tuple[str, str]], *, above: bool) -> list[Form]:
        """The codes (system, code) themselves, and of those in use what they subsume, or what subsumes them. In a
        system that is not here a code subsumes itself alone."""
        wanted: dict[str, Spans] = {}
        found: list[Form] = []
        bare = _has_bare(self.definitions.registry, param)
        for system, code in codes:
            forms = [f"{system}|{code}", *([code] if bare else [])]
            found += _forms(param, [(code, token_key(param.resource_type, param.code, form)) for form in forms])
            held = self.definitions.system(system)
            if held is not None:
                wanted[system] = wanted.get(system, Spans()) | (held.above(code) if above else held.below(code))
        parts = [(self.definitions.require(system), spans) for system, spans in wanted.items() if spans]
        return [*found, *self._used(param, parts, {})]

    def _used(
        self, param: SearchParam, parts: Sequence[tuple[System, Spans]], listed: Mapping[str, Sequence[str]]
    ) -> list[Form]:
        """Those of these concepts and listed codes that are in use: one question, and one more where it takes the
        system itself to say which concept a code is."""
        number, bare = param_id(param.resource_type, param.code), _has_bare(self.definitions.registry, param)
        sent: list[Statement] = [
            used_codes.of_codes(self._tenant_id, number, _systems(system, bare), codes)
            for system, codes in listed.items()
        ]
        sent += [self._statement(number, bare, system, concepts) for system, concepts in parts]
        answers = used_codes.found(self._db, self._tenant_id, sent) if sent else []
        forms = [form for codes in answers[: len(listed)] for form in _forms(param, codes)]
        for (system, concepts), codes in zip(parts, answers[len(listed) :], strict=True):
            forms += _forms(param, codes if _decided(system, concepts) else _within(system, concepts, codes))
        return forms

    def _statement(self, param: int, bare: bool, system: System, concepts: Spans) -> Statement:
        systems = _systems(system.url, bare)
        inner = _stored(system)
        if inner is not None and _decided(system, concepts):
            at = inner.tenant_id, inner.system_id
            return used_codes.of_concepts(self._tenant_id, param, systems, at, concepts)
        if _decided(system, concepts):
            codes = [concept.code for concept in system.page(list(concepts))]
            return used_codes.of_codes(self._tenant_id, param, systems, codes)
        return used_codes.of_systems(self._tenant_id, param, systems)


def _has_bare(registry: Registry, param: SearchParam) -> bool:
    """Whether the parameter reads `code` elements, whose system is not told."""
    return any(target.element.type == "code" for target in targets_of(registry, param))


def _systems(url: str, bare: bool) -> list[str]:
    return [url, ""] if bare else [url]


def _stored(system: System) -> StoredSystem | None:
    inner = system.inner if isinstance(system, Supplemented) else system
    return inner if isinstance(inner, StoredSystem) else None


def _decided(system: System, concepts: Spans) -> bool:
    """Whether the statement alone says which of the codes in use are among the concepts."""
    if not system.case_sensitive:
        return False
    return concepts.count <= _FEW if _stored(system) is None else len(concepts.ranges) <= _MOST_RANGES


def _within(system: System, concepts: Spans, codes: Found) -> Found:
    numbers = system.numbers([code for code, _ in codes])
    return [(code, key) for code, key in codes if numbers.get(code, 0) in concepts]


def _forms(param: SearchParam, codes: Found) -> list[Form]:
    return [(key, token_key(param.resource_type, param.code, code)) for code, key in codes]
