"""Whether a medicine is one to which the patient is known to be allergic.

Names and groups of medicines are compared with what is recorded, nothing else: no doses, no interactions between
medicines, no trade names that the list does not have. Who reads the answer is told so.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ui.doctor.concepts import NO_KNOWN_ALLERGY, codes_of, words_of

_FILE = Path(__file__).with_name("allergy_classes.json")
# Words of allergies that name no substance.
_EMPTY_WORDS = frozenset(
    "allergy allergie allergic alergia allergique hypersensitivity intolerance intolerancia drug medication medicament"
    " medicine reaction severe with from avec dans pour known acide acid sodium potassium".split()
)
_SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Conflict:
    """An allergy that speaks against a medicine. `certain`: the same substance or group; otherwise a related group."""

    allergy: Mapping[str, Any]
    certain: bool


def conflicts(
    medication: str, codings: Sequence[Mapping[str, str]], allergies: Iterable[Mapping[str, Any]]
) -> list[Conflict]:
    """The active allergies that a medicine (its name, and its codings if known) meets."""
    name = plain(medication)
    atc = [str(each.get("code", "")) for each in codings if "atc" in str(each.get("system", "")).lower()]
    groups = {key for key, group in _classes().items() if _belongs(group, name, atc)}
    related = {other for key in groups for other in _classes()[key]["related"]}
    found = []
    for allergy in allergies:
        if not is_active(allergy):
            continue
        meant = plain(words_of(allergy.get("code")))
        known = _groups_of_allergy(allergy, meant)
        if known & groups or _shares_word(meant, name):
            found.append(Conflict(allergy, True))
        elif known & related:
            found.append(Conflict(allergy, False))
    return found


def is_active(allergy: Mapping[str, Any]) -> bool:
    """Whether an AllergyIntolerance is one that counts: not resolved, refuted, or the word that there is none."""
    status = codes_of(allergy.get("clinicalStatus")) or {"active"}
    proof = codes_of(allergy.get("verificationStatus"))
    return "active" in status and proof.isdisjoint({"refuted", "entered-in-error"}) and not is_none_known(allergy)


def is_none_known(allergy: Mapping[str, Any]) -> bool:
    """Whether it says that no allergy is known (which is not the same as never having asked)."""
    return NO_KNOWN_ALLERGY in codes_of(allergy.get("code"))


def none_are_known(allergies: Iterable[Mapping[str, Any]]) -> bool:
    """Whether somebody asked, and nothing else is on record since."""
    found = list(allergies)
    said = any(
        is_none_known(each) and "active" in (codes_of(each.get("clinicalStatus")) or {"active"}) for each in found
    )
    return said and not any(is_active(each) for each in found)


def plain(text: str) -> str:
    """Lower case, without accents, with a space at the end, so that ends of words can be looked for."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in parts if not unicodedata.combining(each)) + " "


def _belongs(group: Mapping[str, Any], name: str, atc: Sequence[str]) -> bool:
    by_code = any(code.startswith(start) for code in atc for start in group["atc"])
    return by_code or any(plain(each)[:-1] in name for each in group["medicines"])


def _groups_of_allergy(allergy: Mapping[str, Any], meant: str) -> set[str]:
    codes = codes_of(allergy.get("code"))
    found = set()
    for key, group in _classes().items():
        named = any(plain(each)[:-1] in meant for each in (*group["allergens"], *group["medicines"]))
        if named or not codes.isdisjoint(group["snomed"]) or any(c.startswith(s) for c in codes for s in group["atc"]):
            found.add(key)
    return found


def _shares_word(meant: str, name: str) -> bool:
    words = {word.strip(".,;:()[]/-") for word in meant.split()}
    return any(len(word) >= _SHORTEST and word not in _EMPTY_WORDS and word in name for word in words)


@lru_cache(maxsize=1)
def _classes() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))["classes"]
    return found
