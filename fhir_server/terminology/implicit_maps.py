"""Concept maps that exist without a resource: what SNOMED CT says of concepts that are out of use.

https://hl7.org/fhir/R4/snomedct.html#implicit-cm
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.definitions import Definitions
from fhir_server.terminology.implicit import SNOMED
from fhir_server.terminology.systems import System

# By reference set of associations: the property under which an import keeps it, and the map's equivalence.
ASSOCIATIONS: Mapping[str, tuple[str, str]] = {
    "900000000000523009": ("possiblyEquivalentTo", "inexact"),
    "900000000000526001": ("replacedBy", "equivalent"),
    "900000000000527005": ("sameAs", "equal"),
    "900000000000530003": ("alternative", "inexact"),
    "1186921001": ("possiblyReplacedBy", "inexact"),
}
_URL = re.compile(rf"({re.escape(SNOMED)}(?:/\d+(?:/version/\d+)?)?)\?fhir_cm=(\d+)")
_MOST = 1000


def concept_map(
    definitions: Definitions, url: str, codings: Sequence[Mapping[str, Any]], *, reverse: bool
) -> dict[str, Any] | None:
    """What such a url stands for, with the elements that these codings ask about; None for another url. Raises
    `NotLocal` when SNOMED CT is not here, `Unprocessable` when it was imported without associations."""
    match = _URL.fullmatch(url)
    if match is None or match[2] not in ASSOCIATIONS:
        return None
    edition, (name, equivalence) = match[1], ASSOCIATIONS[match[2]]
    system = definitions.require(SNOMED if edition == SNOMED else f"{SNOMED}|{edition}")
    if name not in system.properties:
        raise Unprocessable(
            f"SNOMED CT was imported without its associations ({name}); import it again.", code="not-supported"
        )
    codes = dict.fromkeys(coding["code"] for coding in codings if coding.get("system") in (None, SNOMED))
    definitions.spend(100 * len(codes))
    pairs = (pair for code in codes for pair in _pairs(system, name, code, reverse=reverse))
    element = [
        {"code": old, "display": _display(system, old), "target": [
            {"code": new, "display": _display(system, new), "equivalence": equivalence}]}
        for old, new in pairs
    ]  # fmt: skip
    group = {"source": SNOMED, "target": SNOMED, "element": element}
    return {"resourceType": "ConceptMap", "url": url, "status": "active", "group": [group]}


def _pairs(system: System, name: str, code: str, *, reverse: bool) -> Iterator[tuple[str, str]]:
    """(code out of use, code to use) that a code is one of."""
    if reverse:
        yield from ((old.code, code) for old in system.page(system.having(name, code).page(0, _MOST)))
        return
    concept = system.find(code)
    for said, value in concept.properties if concept is not None else ():
        if said == name:
            yield code, str(value)


def _display(system: System, code: str) -> str:
    """What a code is called; the code itself when the system does not say."""
    concept = system.find(code)
    return (concept.display if concept is not None else None) or code
