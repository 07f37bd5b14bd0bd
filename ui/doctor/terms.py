"""Suggestions while one types: code systems that the clinic has loaded, and what was written here before.

The server ships no SNOMED CT or ICD (their licences are the clinic's own matter). Where the clinic has stored one of
the systems named here as a CodeSystem, it is searched by ValueSet/$expand; otherwise what colleagues wrote before is
offered, with the codings it had.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.doctor.allergy_check import plain
from ui.doctor.concepts import ATC, ICD10, SNOMED, Resource, words_of
from ui.doctor.entry import bp
from ui.fhir import Refused

_ICD11 = "http://id.who.int/icd/release/11/mms"
_MOST, _LOOKED_AT, _LONGEST = 12, 300, 200


@dataclass(frozen=True, slots=True)
class Kind:
    """What is looked up: the type and element that hold it, how it is sorted, and the code systems it may come from."""

    type: str
    element: str
    sort: str
    systems: Sequence[str]


KINDS: Mapping[str, Kind] = {
    "condition": Kind("Condition", "code", "-recorded-date", (ICD10, _ICD11, SNOMED)),
    "allergy": Kind("AllergyIntolerance", "code", "-date", (SNOMED,)),
    "medication": Kind("MedicationRequest", "medicationCodeableConcept", "-authoredon", (ATC,)),
    "order": Kind("ServiceRequest", "code", "-authored", ("http://loinc.org",)),
}


@dataclass(frozen=True, slots=True)
class Term:
    """A suggestion: its words and the codings that go with them."""

    text: str
    codings: Sequence[Mapping[str, str]]
    times: int = 0


@bp.get("/terms/<kind>")
def terms(slug: str, kind: str) -> ResponseReturnValue:
    """Options for the list under a field (`q`: what is typed so far)."""
    if kind not in KINDS:
        raise NotFound("There is no such page.")
    typed = next((value for name, value in request.args.items() if name in ("q", "text", "medication", "other")), "")
    return page.part("doctor/_terms.html", terms=suggest(kind, typed[:_LONGEST]))


def suggest(kind: str, typed: str) -> list[Term]:
    """The best suggestions for what is typed; without anything typed what is written most."""
    wanted = plain(typed).strip()
    before = [each for each in used(kind) if wanted in plain(each.text)]
    before.sort(key=lambda each: (not plain(each.text).startswith(wanted), -each.times))
    found = before[:_MOST]
    if len(wanted) > 1 and len(found) < _MOST:
        known = {plain(each.text) for each in found}
        found += [each for each in _expanded(KINDS[kind], typed) if plain(each.text) not in known]
    return found[:_MOST]


def codings_for(kind: str, text: str) -> list[Mapping[str, str]]:
    """The codings that go with exactly these words, as far as they are known; []."""
    wanted = plain(text)
    for each in (*used(kind), *_expanded(KINDS[kind], text)):
        if plain(each.text) == wanted:
            return list(each.codings)
    return []


def used(kind: str) -> list[Term]:
    """What was written lately in this clinic, as far as the person may see it; most often first. Free text that stands
    in one record only is left out: it may say more about that patient than a diagnosis."""
    known = KINDS[kind]
    found = fhir.search(known.type, {"_elements": known.element, "_sort": known.sort, "_count": _LOOKED_AT}).resources
    return [each for each in counted(each.get(known.element) for each in found) if each.codings or each.times > 1]


def counted(concepts: Iterable[Resource | None]) -> list[Term]:
    """Concepts by their words, most often first, each with the codings it had when it had any."""
    times: Counter[str] = Counter()
    best: dict[str, Term] = {}
    for concept in concepts:
        text = " ".join(words_of(concept).split())
        if not text or concept is None:
            continue
        name = plain(text)
        times[name] += 1
        codings = [_coding(each) for each in concept.get("coding", ()) if each.get("code")]
        if name not in best or (codings and not best[name].codings):
            best[name] = Term(text, codings)
    return [Term(best[name].text, best[name].codings, count) for name, count in times.most_common()]


def _coding(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(given[name]) for name in ("system", "code", "display") if given.get(name)}


def _expanded(kind: Kind, typed: str) -> list[Term]:
    """Codes of the systems that the clinic has stored."""
    stored = fhir.search("CodeSystem", {"url": ",".join(kind.systems), "_elements": "url", "_count": 10}).resources
    systems = [str(each["url"]) for each in stored if each.get("url")]
    if not systems:
        return []
    value_set = {"resourceType": "ValueSet", "status": "active",
                 "compose": {"include": [{"system": system} for system in systems]}}  # fmt: skip
    try:
        answer = fhir.call("ValueSet/$expand", {"valueSet": value_set, "filter": typed, "count": _MOST})
    except Refused:
        return []
    contained = answer.get("expansion", {}).get("contains", ())
    return [Term(str(each.get("display") or each["code"]), [_coding(each)]) for each in contained if each.get("code")]
