"""What the server says it can do (`/metadata`): the types, and the parameters by which each is searched."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.core.messages import FhirResponse
from fhir_server.core.resource_json import decode
from ui import fhir
from ui.page import may_do, now, tenant

_KEPT_S = 60


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter. `type`: token, date, reference, …"""

    name: str
    type: str
    documentation: str


@dataclass(frozen=True, slots=True)
class Capability:
    """A type with its interactions, parameters and the profiles that are here for it (canonical urls)."""

    name: str
    interactions: frozenset[str]
    parameters: tuple[Parameter, ...]
    profiles: tuple[str, ...] = ()


# How results are shaped: parameters of every search that the statement does not list.
_SHAPING = (
    ("_count", "number"), ("_sort", "string"), ("_include", "string"), ("_revinclude", "string"), ("_summary", "token"),
    ("_elements", "string"), ("_total", "token"),
)  # fmt: skip


def capabilities() -> Mapping[str, Capability]:
    """Every type of this tenant by name."""
    return _read(tenant().slug, int(now().timestamp()) // _KEPT_S)


def readable() -> list[Capability]:
    """The types that the person may search or read, by name."""
    return [each for each in capabilities().values() if may_do(each.name, "s") or may_do(each.name, "r")]


@lru_cache(maxsize=64)
def _read(slug: str, minute: int) -> Mapping[str, Capability]:
    answer: FhirResponse = fhir.raw("GET", "metadata")
    rest = decode(answer.body or b"{}").get("rest", [{}])[0]
    shaping = tuple(Parameter(name, kind, "") for name, kind in _SHAPING)
    found = {}
    for each in rest.get("resource", ()):
        own = tuple(
            Parameter(str(p["name"]), str(p.get("type", "")), str(p.get("documentation", "")))
            for p in each.get("searchParam", ())
        )
        interactions = frozenset(str(i.get("code")) for i in each.get("interaction", ()))
        ordered = (*(p for p in own if not p.name.startswith("_")), *(p for p in own if p.name.startswith("_")))
        profiles = tuple(map(str, each.get("supportedProfile", ())))
        found[str(each["type"])] = Capability(str(each["type"]), interactions, (*ordered, *shaping), profiles)
    return found
