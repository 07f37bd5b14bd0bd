"""ConceptMap/$closure. https://hl7.org/fhir/R4/conceptmap-operation-closure.html"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.dates import format_instant
from fhir_server.core.errors import Invalid, NotFound, TooCostly
from fhir_server.interactions.terminologies import of_caller
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy
from fhir_server.storage import clock, closures
from fhir_server.storage.closures import ClosureConcept
from fhir_server.terminology.closure_table import Work, entries, settled
from fhir_server.terminology.definitions import Definitions

MOST_TABLES, MOST_CONCEPTS, MOST_AT_ONCE = 100, 10_000, 1_000
_LONGEST_NAME = 200


def closure(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Begin a closure table (name alone), add concepts to it, or hear again what came in since a version: a ConceptMap
    of the entries that are new, from each code to those that subsume it.

    A table is its client's: others have their own of the same name. Raises `NotFound` for a table that was not begun,
    `Unprocessable` for an unknown code, `TooCostly` beyond 100 tables or 10,000 concepts; then nothing is added.
    """
    # It keeps something, so reading rights do not do.
    policy.allow(ctx, "update", "ConceptMap")
    name, given, version = (call.parameters.get(each) for each in ("name", "concept", "version"))
    if not name or len(name) > _LONGEST_NAME:
        raise Invalid(f"name is a text of 1 to {_LONGEST_NAME} characters.", expression="http.name", code="value")
    if given and version is not None:
        raise Invalid("Give concepts to add, or a version to hear of what came in since.", expression="http.version")
    owned = f"{ctx.principal.client_id}\x1f"
    held = f"{owned}{name}"
    if not given and version is None:
        if closures.count(ctx.db, ctx.tenant.id, owned) >= MOST_TABLES:
            _require(ctx, held, f"There are {MOST_TABLES} closure tables; begin one of them anew.")
        closures.begin(ctx.db, ctx.tenant.id, held)
        return _map(name, 0, {})
    present = closures.lock(ctx.db, ctx.tenant.id, held)
    if present is None:
        raise NotFound(f"The closure table {name!r} was not begun: call $closure with its name alone.")
    here = of_caller(ctx)
    concepts = closures.concepts(ctx.db, ctx.tenant.id, held)
    if given:
        fresh = _fresh(here, concepts, given)
        if fresh:
            closures.add(ctx.db, ctx.tenant.id, held, present + 1, [(c.system, c.code) for c in fresh])
            fresh = [ClosureConcept(c.system, c.code, present + 1) for c in fresh]
        return _map(name, present + bool(fresh), _entries(here, [*concepts, *fresh], present))
    return _map(name, present, _entries(here, concepts, _since(str(version), present)))


def _require(ctx: Context, held: str, text: str) -> None:
    if closures.lock(ctx.db, ctx.tenant.id, held) is None:
        raise TooCostly(text)


def _since(version: str, present: int) -> int:
    if not (version.isascii() and version.isdigit() and len(version) < 10 and int(version) <= present):
        raise Invalid(f"version is one that was answered, at most {present}.", expression="http.version", code="value")
    return int(version)


def _fresh(
    here: Definitions, held: Sequence[ClosureConcept], given: Sequence[Mapping[str, Any]]
) -> list[ClosureConcept]:
    """The concepts given that are not in the table, each once."""
    if len(given) > MOST_AT_ONCE:
        raise TooCostly(f"At most {MOST_AT_ONCE} concepts are added at a time.", expression="http.concept")
    wanted: dict[tuple[str, str], list[str]] = {}
    for coding in given:
        if not coding.get("system") or not coding.get("code"):
            raise Invalid("A concept needs its system and code.", expression="http.concept", code="required")
        version = f"|{coding['version']}" if coding.get("version") else ""
        wanted.setdefault((coding["system"], version), []).append(coding["code"])
    known = {(concept.system, concept.code) for concept in held}
    found: dict[tuple[str, str], ClosureConcept] = {}
    for (system, version), codes in wanted.items():
        for code in settled(here, f"{system}{version}", codes):
            if (system, code) not in known:
                found[system, code] = ClosureConcept(system, code, 0)
    if len(held) + len(found) > MOST_CONCEPTS:
        raise TooCostly(f"A closure table has at most {MOST_CONCEPTS} concepts.", expression="http.concept")
    return list(found.values())


def _entries(
    here: Definitions, concepts: Sequence[ClosureConcept], since: int
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """{system: entries} that came in after a version."""
    found: dict[str, Sequence[tuple[str, str]]] = {}
    work = Work()
    for system, each in groupby(sorted(concepts, key=lambda c: (c.system, c.code)), key=lambda c: c.system):
        held = {concept.code: concept.version for concept in each}
        if any(version > since for version in held.values()):
            found[system] = sorted(entries(here.require(system), held, since, work))
    return {system: pairs for system, pairs in found.items() if pairs}


def _map(name: str, version: int, found: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "resourceType": "ConceptMap",
        "version": str(version),
        "name": name,
        "status": "active",
        "experimental": True,
        "date": format_instant(clock.micros(clock.tick())),
    }
    groups = [
        {"source": system, "target": system, "element": [_element(code, list(pairs)) for code, pairs in groupby(
            sorted_pairs, key=lambda pair: pair[0])]}
        for system, sorted_pairs in found.items()
    ]  # fmt: skip
    return answer | {"group": groups} if groups else answer


def _element(code: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    # R4: the target subsumes the source. https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html
    return {"code": code, "target": [{"code": above, "equivalence": "subsumes"} for _, above in pairs]}
