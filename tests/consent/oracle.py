"""What consents mean, in the plainest Python: over Consent resources and resources as they are, without rules or keys."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_server.core.dates import parse_range
from tests.consent.words import CONFIDENTIALITY, ROLE_SYSTEM

LEVELS = ["U", "L", "M", "N", "R", "V"]
BELOW = {"TREAT": {"TREAT", "ETREAT", "BTG"}, "HPAYMT": {"HPAYMT"}, "PATRQT": {"PATRQT", "FAMRQT"}, "BTG": {"BTG"},
         "ETREAT": {"ETREAT", "BTG"}}  # fmt: skip


@dataclass(frozen=True)
class Asker:
    """Who asks: names of actors, one purpose, when (microseconds)."""

    actors: tuple[str, ...]
    purpose: str
    now: int


def now_us() -> int:
    """The present in microseconds."""
    return int(datetime.now(UTC).timestamp() * 1_000_000)


def hides(consents: list[dict[str, Any]], resource: dict[str, Any], ts: int, asker: Asker) -> bool:
    """Whether any of the consents of the resource's patient denies it."""
    return any(
        decision(consent["provision"], resource, ts, asker) == "deny"
        for consent in consents
        if consent["status"] == "active" and consent["patient"]["reference"] == resource["subject"]["reference"]
    )


def decision(provision: dict[str, Any], resource: dict[str, Any], ts: int, asker: Asker) -> str | None:
    """What a provision says, None when its conditions do not hold: the deepest that holds decides, of equals a deny."""
    if not holds(provision, resource, ts, asker):
        return None
    below = [decision(child, resource, ts, asker) for child in provision.get("provision", [])]
    said = [each for each in below if each is not None]
    if said:
        return "deny" if "deny" in said else "permit"
    return str(provision["type"])


def holds(p: dict[str, Any], resource: dict[str, Any], ts: int, asker: Asker) -> bool:
    """Whether all own conditions of a provision hold."""
    codings = resource["code"]["coding"]
    return all([
        inside(p.get("period"), asker.now),
        inside(p.get("dataPeriod"), ts),
        not p.get("actor") or any(name(actor) in asker.actors for actor in p["actor"]),
        not p.get("purpose") or any(asker.purpose in BELOW[purpose["code"]] for purpose in p["purpose"]),
        not p.get("class") or any(each["code"] == resource["resourceType"] for each in p["class"]),
        not p.get("code") or any(coding in codings for concept in p["code"] for coding in concept["coding"]),
        not p.get("data")
        or any(d["reference"]["reference"] == f"{resource['resourceType']}/{resource['id']}" for d in p["data"]),
        not p.get("securityLabel") or any(labelled(label, p["type"], resource) for label in p["securityLabel"]),
    ])  # fmt: skip


def inside(period: dict[str, str] | None, us: int) -> bool:
    """Whether a moment lies in a period, ends included to their precision."""
    if not period:
        return True
    starts = parse_range(period["start"])[0] if "start" in period else us
    ends = parse_range(period["end"])[1] if "end" in period else us + 1
    return starts <= us < ends


def name(actor: dict[str, Any]) -> str:
    """The name of an actor."""
    coding = actor["role"]["coding"][0]
    if coding["system"] == ROLE_SYSTEM:
        return f"role:{coding['code']}"
    reference = actor["reference"]
    return reference["reference"] if "reference" in reference else f"client:{reference['identifier']['value']}"


def labelled(label: dict[str, str], kind: str, resource: dict[str, Any]) -> bool:
    """Whether a label of a provision is about the resource."""
    own = resource["meta"]["security"]
    if label["system"] != CONFIDENTIALITY:
        return label in own
    levels = [LEVELS.index(each["code"]) for each in own if each["system"] == CONFIDENTIALITY]
    level, highest = LEVELS.index(label["code"]), max(levels, default=LEVELS.index("N"))
    return highest <= level if kind == "permit" else highest >= level
