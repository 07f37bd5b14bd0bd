"""Displays in a language. https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.concept.designation"""

from collections.abc import Mapping, Sequence
from typing import Any

# Uses of a designation, the more fit to be shown the smaller: of SNOMED CT the preferred term, synonyms, the full name.
_USES: Mapping[str, int] = {
    "display": 0,
    "preferredForLanguage": 0,
    "900000000000548007": 0,
    "900000000000013009": 2,
    "900000000000003001": 3,
}
_NO_USE, _OTHER_USE = 1, 2
_FAR = 9
_ENGLISH = "en"
_MOST = 10


def preferred(text: str | None) -> tuple[str, ...]:
    """The language tags of `displayLanguage` or an Accept-Language header, the preferred one first, in small letters;
    ten at most.
    https://www.rfc-editor.org/rfc/rfc9110#name-accept-language"""
    found: list[tuple[float, str]] = []
    for item in (text or "").split(","):
        tag, _, weight = item.strip().partition(";")
        quality = _quality(weight)
        if tag.strip() not in ("", "*") and quality > 0:
            found.append((-quality, tag.strip().lower()))
    return tuple(tag for _, tag in sorted(found, key=lambda pair: pair[0])[:_MOST])


def _quality(weight: str) -> float:
    name, _, number = weight.strip().partition("=")
    try:
        return float(number) if name.strip() == "q" else 1.0
    except ValueError:
        return 1.0


def in_language(
    display: str | None, designations: Sequence[Mapping[str, Any]], languages: Sequence[str], main: str = ""
) -> str | None:
    """What to show: the designation in the first of the languages that there is one in, or the display where that is as
    near (`main`: its language; not told, it counts as English), and where nothing else is there. `fr` is answered by
    `fr-CA` too; `fr-MA` by `fr`, and then by any other `fr-…`."""
    for language in languages:
        near = [(_distance(d, language), _fitness(d), place) for place, d in enumerate(designations)]
        best = min((each for each in near if each[0] < _FAR), default=None)
        if display is not None and _apart(main or _ENGLISH, language) <= (_FAR - 1 if best is None else best[0]):
            return display
        if best is not None:
            return str(designations[best[2]]["value"])
    return display


def of_language(designations: Sequence[Mapping[str, Any]], languages: Sequence[str]) -> list[str]:
    """The designations that are in one of the languages."""
    return [str(d["value"]) for d in designations if any(_distance(d, language) < _FAR for language in languages)]


def _distance(designation: Mapping[str, Any], language: str) -> int:
    return _apart(designation.get("language", ""), language) if "value" in designation else _FAR


def _apart(tag: str, language: str) -> int:
    """How far a language tag is from the one that is wanted: the same, more general, more special, sister, other."""
    tag, wanted = tag.lower(), language.lower()
    if tag == wanted:
        return 0 if tag else _FAR
    if tag.split("-")[0] != wanted.split("-")[0]:
        return _FAR
    return 1 if wanted.startswith(f"{tag}-") else 2 if tag.startswith(f"{wanted}-") else 3


def _fitness(designation: Mapping[str, Any]) -> int:
    code = designation.get("use", {}).get("code")
    return _NO_USE if code is None else _USES.get(code, _OTHER_USE)
