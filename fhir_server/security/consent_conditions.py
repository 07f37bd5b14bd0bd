"""The conditions of one Consent.provision, read into those of a rule. What cannot be enforced exactly is refused.

https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from typing import Any

from fhir_server.conformance.registry import Registry, base_registry
from fhir_server.core.dates import parse_range
from fhir_server.core.errors import Issue
from fhir_server.core.keys import label_key, self_key, target_key, token_key
from fhir_server.core.references import local_form, parse_literal
from fhir_server.search.elements import targets_of
from fhir_server.security.labels import CONFIDENTIALITY, LEVELS
from fhir_server.security.roles import roles
from fhir_server.terminology.definitions import base_table

ROLE_SYSTEM = "urn:salam:role"
CLIENT_SYSTEM = "urn:salam:client"
_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
_READING = frozenset({"access", "use", "disclose"})
_OTHER_ACTIONS = frozenset({"collect", "correct"})
_RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
# Those to whom information goes. Custodians, authors and the like are not who asks.
_RECIPIENTS = frozenset({"IRCP", "PRCP", "GRANTEE", "DELEGATEE"})
_PEOPLE = frozenset({"Practitioner", "PractitionerRole", "Organization", "RelatedPerson", "Patient"})
_CODED = frozenset({"CodeableConcept", "Coding"})
# Patients' own accounts are never limited by consents.
_ROLES = tuple([name for name in roles() if name != "patient"])
_NORMAL = LEVELS.index("N")
MOST_VALUES = 50

Provision = Mapping[str, Any]
Keys = tuple[int, ...]


@dataclass(slots=True)
class Reader:
    """What is needed to read a consent, and what is wrong with it. `base`: the tenant's FHIR base; `zone`: of dates
    that name none."""

    registry: Registry
    base: str
    zone: tzinfo
    issues: list[Issue] = field(default_factory=list)

    def refuse(self, path: str, why: str) -> None:
        """Say that an element cannot be enforced."""
        self.issues.append(Issue("error", "not-supported", f"This server cannot enforce it exactly: {why}", path))

    def local(self, reference: Mapping[str, Any], path: str, kinds: Iterable[str] | None = None) -> str | None:
        """`Type/id` of a reference into this server; refused when it is anything else."""
        literal = parse_literal(local_form(reference.get("reference", ""), self.base))
        if literal is not None and literal.base is None and (kinds is None or literal.type in kinds):
            return literal.local
        wanted = "a resource of this server" if kinds is None else f"{', '.join(sorted(kinds))} of this server"
        self.refuse(f"{path}.reference", f"it must refer to {wanted}, as Type/id.")
        return None


def concerns_reading(provision: Provision, path: str, reader: Reader) -> bool:
    """Whether the provision is about seeing data: no actions, or one of access, use and disclose."""
    if not provision.get("action"):
        return True
    codes = set()
    for n, action in enumerate(provision["action"]):
        own = {c.get("code") for c in action.get("coding", ()) if c.get("system") == _ACTION}
        if not own or not own <= _READING | _OTHER_ACTIONS:
            reader.refuse(f"{path}.action[{n}]", f"an action is a code of {_ACTION}.")
        codes |= own
    return not codes.isdisjoint(_READING)


def conditions(provision: Provision, permit: bool, path: str, reader: Reader) -> dict[str, Any]:
    """The conditions of a provision as fields of a `ConsentRule`, without those that it inherits."""
    for name, values in provision.items():
        if isinstance(values, list) and name != "provision" and len(values) > MOST_VALUES:
            reader.refuse(f"{path}.{name}", f"more than {MOST_VALUES} values in one provision.")
            return {}
    if "modifierExtension" in provision:
        reader.refuse(f"{path}.modifierExtension", "it is not known what it changes.")
    starts, ends = _period(provision.get("period"), f"{path}.period", reader)
    data_start, data_end = _period(provision.get("dataPeriod"), f"{path}.dataPeriod", reader)
    types = _classes(provision.get("class", ()), f"{path}.class", reader)
    labels, ceiling = _labels(provision.get("securityLabel", ()), permit, f"{path}.securityLabel", reader)
    return {
        "starts": starts,
        "ends": ends,
        "data_start": data_start,
        "data_end": data_end,
        "actors": _each(provision, "actor", path, reader, _actor),
        "purposes": _purposes(provision.get("purpose", ()), f"{path}.purpose", reader),
        "type_ids": None if types is None else tuple([reader.registry.type_ids[name] for name in types]),
        "keys": _codes(provision.get("code", ()), types, f"{path}.code", reader),
        "labels": labels,
        "ceiling": ceiling,
        "instances": _each(provision, "data", path, reader, _instance),
    }


def _each(provision: Provision, name: str, path: str, reader: Reader, one: Any) -> Keys | None:
    values = provision.get(name)
    if not values:
        return None
    found = [one(value, f"{path}.{name}[{n}]", reader) for n, value in enumerate(values)]
    return tuple([key for key in found if key is not None])


def _period(period: Mapping[str, Any] | None, path: str, reader: Reader) -> tuple[int | None, int | None]:
    ends: list[int | None] = []
    for side, name in enumerate(("start", "end")):
        text = (period or {}).get(name)
        try:
            ends.append(None if text is None else parse_range(text, reader.zone)[side])
        except ValueError:
            reader.refuse(f"{path}.{name}", "it is no date or time.")
            ends.append(None)
    return ends[0], ends[1]


def _actor(actor: Mapping[str, Any], path: str, reader: Reader) -> int | None:
    """The key of the actor's name: a role of users, an application, or a person or organization of this server."""
    codes = actor.get("role", {}).get("coding", ())
    reference = actor.get("reference", {})
    named = [c.get("code") for c in codes if c.get("system") == ROLE_SYSTEM]
    if named:
        if len(codes) > 1 or named[0] not in _ROLES or "reference" in reference or "identifier" in reference:
            reader.refuse(f"{path}.role", f"a role of {ROLE_SYSTEM} stands alone; there are: {', '.join(_ROLES)}.")
        return target_key(f"role:{named[0]}")
    if not codes or any(c.get("code") not in _RECIPIENTS for c in codes):
        reader.refuse(f"{path}.role", f"an actor receives data: {', '.join(sorted(_RECIPIENTS))}.")
    identifier = reference.get("identifier", {})
    if identifier.get("system") == CLIENT_SYSTEM and identifier.get("value") and "reference" not in reference:
        return target_key(f"client:{identifier['value']}")
    local = reader.local(reference, f"{path}.reference", _PEOPLE)
    return None if local is None else target_key(local)


def _instance(data: Mapping[str, Any], path: str, reader: Reader) -> int | None:
    if data.get("meaning") != "instance":
        reader.refuse(f"{path}.meaning", "only the meaning 'instance' is.")
        return None
    local = reader.local(data.get("reference", {}), f"{path}.reference")
    return None if local is None else self_key(*local.split("/"))


def _purposes(purposes: Sequence[Mapping[str, Any]], path: str, reader: Reader) -> tuple[str, ...] | None:
    """The purposes named and all that they comprise: TREAT comprises ETREAT."""
    found: dict[str, None] = {}
    for n, purpose in enumerate(purposes):
        system, code = purpose.get("system"), purpose.get("code", "")
        if system != _REASON or code not in _known_purposes():
            reader.refuse(f"{path}[{n}]", f"a purpose is a code of PurposeOfUse in {_REASON}.")
            continue
        found.update(dict.fromkeys([code, *sorted(_comprised(code) & _known_purposes())]))
    return tuple(found) if purposes else None


def _comprised(code: str) -> frozenset[str]:
    reasons = base_table(_REASON)
    return frozenset(each.code for each in reasons.page(list(reasons.below(code)))) if reasons else frozenset()


@lru_cache(maxsize=1)
def _known_purposes() -> frozenset[str]:
    codes = base_registry().codes("http://terminology.hl7.org/ValueSet/v3-PurposeOfUse") or ()
    return frozenset(code for _, code in codes)


def _classes(classes: Sequence[Mapping[str, Any]], path: str, reader: Reader) -> tuple[str, ...] | None:
    found = []
    for n, each in enumerate(classes):
        if each.get("system") == _RESOURCE_TYPES and each.get("code") in reader.registry.type_ids:
            found.append(each["code"])
        else:
            reader.refuse(f"{path}[{n}]", f"a class is a resource type, of {_RESOURCE_TYPES}.")
    return tuple(found) if classes else None


def _labels(
    labels: Sequence[Mapping[str, Any]], permit: bool, path: str, reader: Reader
) -> tuple[Keys | None, Keys | None]:
    """Confidentiality is a level: to deny one denies those above it, to permit one permits those below it; what has no
    level is N. https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.securityLabel"""
    found: list[int] = []
    levels: list[int] = []
    for n, label in enumerate(labels):
        system, code = label.get("system"), label.get("code")
        if not code:
            reader.refuse(f"{path}[{n}]", "a label needs its code.")
        elif system != CONFIDENTIALITY:
            found.append(label_key(system, code))
        elif code not in LEVELS or (permit and (levels or code not in LEVELS[_NORMAL:])):
            reader.refuse(f"{path}[{n}]", f"a deny names one of {', '.join(LEVELS)}; a permit one of N, R, V, once.")
        else:
            levels.append(LEVELS.index(code))
    if not levels:
        return (tuple(found) if labels else None), None
    level = min(levels)
    if permit:
        return tuple(found), _level_keys(LEVELS[level + 1 :])
    # Below N and at N also what has no level: that is, what has none of the levels below.
    return (*found, *_level_keys(LEVELS[level:])), _level_keys(LEVELS[:level]) if level <= _NORMAL else None


def _level_keys(levels: Iterable[str]) -> Keys:
    return tuple([label_key(CONFIDENTIALITY, level) for level in levels])


def _codes(
    concepts: Sequence[Mapping[str, Any]], types: Sequence[str] | None, path: str, reader: Reader
) -> Keys | None:
    """Keys of the codes in every element by which a type can be searched."""
    if not concepts:
        return None
    places = [place for place in _coded_params() if types is None or place[0] in types]
    if not places:
        reader.refuse(path, "resources of this class have no codes by which they can be found.")
    found: dict[int, None] = {}
    for n, concept in enumerate(concepts):
        codings = concept.get("coding", ())
        if not codings or not all(coding.get("system") and coding.get("code") for coding in codings):
            reader.refuse(f"{path}[{n}]", "a code needs its coding with system and code.")
            continue
        for coding in codings:
            form = f"{coding['system']}|{coding['code']}"
            found.update(dict.fromkeys([token_key(kind, param, form) for kind, param in places]))
    return tuple(found)


@lru_cache(maxsize=1)
def _coded_params() -> tuple[tuple[str, str], ...]:
    """(type, parameter) of the coded elements of everything that can be in a patient's record."""
    registry = base_registry()
    return tuple(
        (kind, param.code)
        for kind in registry.compartments["Patient"]
        for param in registry.search_params(kind).values()
        if param.type == "token" and not param.code.startswith("_") and not param.parts
        if {target.element.type for target in targets_of(registry, param)} & _CODED
    )
