"""Value sets that exist without a resource, because a code system's own page says what their urls mean.

https://hl7.org/fhir/R4/snomedct.html#implicit, https://hl7.org/fhir/R4/loinc.html#implicit,
https://hl7.org/fhir/R4/ucum.html#implicit, https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.valueSet
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"

_REFERENCE_SET = "900000000000455006"
_SNOMED_URL = re.compile(rf"({re.escape(SNOMED)}(?:/\d+(?:/version/\d+)?)?)\?fhir_vs(?:=(.*))?", re.DOTALL)
_LOINC_URL = re.compile(rf"{re.escape(LOINC)}/vs(?:/(L[LP]\d+-\d))?")


def value_set(url: str, naming_all: Callable[[str], str | None]) -> Mapping[str, Any] | None:
    """The definition that such a url stands for, or None. `naming_all` gives the code system of which a url is the
    value set of all codes."""
    include = _snomed(url) or _loinc(url)
    if include is None:
        system = UCUM if url == f"{UCUM}/vs" else naming_all(url)
        include = {"system": system} if system else None
    if include is None:
        return None
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}


def _snomed(url: str) -> dict[str, Any] | None:
    match = _SNOMED_URL.fullmatch(url)
    if match is None:
        return None
    edition, wanted = match.groups()
    include: dict[str, Any] = {"system": SNOMED}
    if edition != SNOMED:
        include["version"] = edition
    if wanted is None:
        return include
    if wanted == "refset":
        return include | {"filter": [{"property": "concept", "op": "descendent-of", "value": _REFERENCE_SET}]}
    kind, _, value = wanted.partition("/")
    rule = _SNOMED_FILTERS.get(kind)
    if rule is None or not value:
        return None
    return include | {"filter": [{"property": rule[0], "op": rule[1], "value": unquote(value)}]}


_SNOMED_FILTERS: Mapping[str, tuple[str, str]] = {
    "isa": ("concept", "is-a"),
    "refset": ("concept", "in"),
    "ecl": ("constraint", "="),
}


def _loinc(url: str) -> dict[str, Any] | None:
    match = _LOINC_URL.fullmatch(url)
    if match is None:
        return None
    wanted = match[1]
    if wanted is None:
        return {"system": LOINC}
    name = "LIST" if wanted.startswith("LL") else "ancestor"
    return {"system": LOINC, "filter": [{"property": name, "op": "=", "value": wanted}]}
