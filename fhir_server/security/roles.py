"""Roles of users: their rights as data (profiles/security/roles.json)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fhir_server.security.scopes import Scope, parse_scope

_FILE = Path(__file__).resolve().parents[2] / "profiles" / "security" / "roles.json"


@dataclass(frozen=True, slots=True)
class Role:
    """What the people of a role may do. `titles`: by language; `fhir_user`: types of resource that an account of the
    role can be linked to; `withheld`: `system|code` of the security labels whose resources are not shown to it;
    `purposes`: of v3-PurposeOfUse, the usual one first; `may`: rights that are not about resources; `manages`: roles
    whose accounts it may make, change and end where it may `users`."""

    name: str
    titles: Mapping[str, str]
    fhir_user: tuple[str, ...]
    rights: tuple[Scope, ...]
    withheld: frozenset[str]
    purposes: tuple[str, ...]
    may: frozenset[str]
    manages: tuple[str, ...]

    @property
    def personal(self) -> bool:
        """Whether its people see their own patients' records only."""
        return any(right.context == "patient" for right in self.rights)


@lru_cache(maxsize=1)
def roles() -> Mapping[str, Role]:
    """Every role by name, in the order of the file."""
    return {name: _role(name, given) for name, given in _data()["roles"].items()}


@lru_cache(maxsize=1)
def shared_types() -> frozenset[str]:
    """Types outside every patient's compartment that those who see one patient's record may read."""
    return frozenset(_data()["types"]["shared"])


@lru_cache(maxsize=1)
def _data() -> Any:
    return json.loads(_FILE.read_text(encoding="utf-8"))


def _role(name: str, given: Mapping[str, Any]) -> Role:
    return Role(
        name=name,
        titles=given["title"],
        fhir_user=tuple(given["fhir_user"]),
        rights=tuple(right for text in given["rights"] for right in _rights(text)),
        withheld=frozenset(label for text in given["withheld"] for label in _labels(text)),
        purposes=tuple(given["purposes"]),
        may=frozenset(given["may"]),
        manages=tuple(given.get("manages", ())),
    )


def _rights(text: str) -> list[Scope]:
    head, at, rest = text.partition("@")
    if not at:
        names = [text]
    else:
        group, _, letters = rest.partition(".")
        names = [f"{head}{name}.{letters}" for name in _data()["types"][group]]
    found = [parse_scope(each) for each in names]
    if None in found:
        raise ValueError(f"{text} in roles.json is no scope")
    return [right for right in found if right is not None]


def _labels(text: str) -> list[str]:
    labels = _data()["labels"]
    if text == "sensitive":
        return [f"{labels['act_code']}|{code}" for code in labels["sensitive"]]
    return [f"{labels['confidentiality']}|{text}"]
