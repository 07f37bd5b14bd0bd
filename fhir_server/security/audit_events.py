"""Which events the audit log knows and what each is in FHIR and IHE BALP: profiles/security/audit_events.json.

https://hl7.org/fhir/R4/auditevent.html, https://profiles.ihe.net/ITI/BALP/
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve().parents[2] / "profiles" / "security" / "audit_events.json"
SUCCESS, MINOR, SERIOUS = 0, 4, 8
# The purpose under which details are sealed.
SEALED_FOR = "audit"
# Systems of the identifiers of accounts and clients in AuditEvents.
USER, CLIENT = "urn:salam:user", "urn:salam:client"


@dataclass(frozen=True, slots=True)
class Kind:
    """An event. `number` stands in the log and never changes; `type`, `subtype`: codings; `pattern`: the BALP profile
    of a success (Create, Read, Update, Delete, Query) or ""; `discloses`: it shows resources; `names_patient`: its
    detail may name a patient; `titles`: by language."""

    name: str
    number: int
    type: Mapping[str, str]
    subtype: Mapping[str, str]
    action: str
    pattern: str
    discloses: bool
    names_patient: bool
    titles: Mapping[str, str]


@lru_cache(maxsize=1)
def kinds() -> Mapping[str, Kind]:
    """Every event by name."""
    data = _data()
    found = {}
    for name, given in data["events"].items():
        system, code = given["subtype"]
        subtype = {"system": data["systems"][system], "code": code}
        if "display" in given:
            subtype["display"] = given["display"]
        found[name] = Kind(
            name, given["number"], data["types"][given["type"]], subtype, given["action"], given.get("pattern", ""),
            given.get("discloses", False), given.get("names_patient", False), given["title"],
        )  # fmt: skip
    return found


@lru_cache(maxsize=1)
def by_number() -> Mapping[int, Kind]:
    """Every event by its number in the log."""
    return {kind.number: kind for kind in kinds().values()}


@lru_cache(maxsize=16)
def roles_of(pattern: str) -> Mapping[str, Mapping[str, str]]:
    """The codings of the agents `client`, `server` and `user` in a BALP pattern; "" for events that have none."""
    found: Mapping[str, Mapping[str, str]] = _data()["roles"][pattern]
    return found


def purpose_title(code: str, language: str) -> str:
    """A purpose of use in words; the code itself for one that has none."""
    titles = _data()["purposes"].get(code, {})
    return str(titles.get(language, code))


@lru_cache(maxsize=1)
def _data() -> Any:
    return json.loads(_FILE.read_text(encoding="utf-8"))
