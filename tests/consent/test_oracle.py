"""Random consents over random resources: the rules in PostgreSQL say what the plain reading says. sec-46"""

from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fhir_server.conformance.registry import base_registry
from fhir_server.core.keys import self_key
from fhir_server.rest.dispatch import session
from fhir_server.search.extract import extract
from fhir_server.security.consent import rules_of
from fhir_server.security.consent_conditions import Reader
from fhir_server.security.consent_filter import denied
from fhir_server.storage import consent_rules
from fhir_server.storage.tenants import find
from tests.conftest import TestTenant
from tests.consent.oracle import Asker, hides, now_us
from tests.consent.words import actor, concept, consent, kind, label, purpose

BASE = "http://testserver/t/x/fhir"
TYPES = ["Observation", "Condition", "Procedure"]
CODES = ["718-7", "4548-4"]
NAMES = ["Practitioner/a", "Practitioner/b", "Organization/o", "role:nurse", "client:app", "RelatedPerson/r"]
DAYS = ["2020", "2026-03-01", "2026-03", "2030-01-01T00:00:00Z"]
LABELS = ["R", "N", "V", "L", "HIV", "PSY"]


def some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    """None, one or two of these."""
    return st.one_of(st.just([]), st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True))


@st.composite
def periods(draw: st.DrawFn) -> dict[str, str]:
    """A period with none, one or both of its ends."""
    return {name: draw(st.sampled_from(DAYS)) for name in ("start", "end") if draw(st.booleans())}


@st.composite
def provisions(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    """A tree of provisions with random conditions, few at a time so that many hold."""
    made: dict[str, Any] = {"type": draw(st.sampled_from(["deny", "permit"]))}
    values: dict[str, Any] = {
        "actor": [actor(each) for each in draw(some(NAMES))],
        "purpose": [purpose(each) for each in draw(some(["TREAT", "HPAYMT", "PATRQT", "BTG"]))],
        "class": [kind(each) for each in draw(some(TYPES))],
        "code": [concept(each) for each in draw(some(CODES))],
        "securityLabel": [label(each) for each in draw(some(LABELS))],
        "data": [
            {"meaning": "instance", "reference": {"reference": f"{each}/1"}} for each in draw(some(TYPES))
        ],
        "period": draw(periods()),
        "dataPeriod": draw(periods()),
    }
    for name in draw(st.lists(st.sampled_from(sorted(values)), max_size=2, unique=True)):
        if values[name]:
            made[name] = values[name]
    if depth < 3:
        children = draw(st.lists(provisions(depth + 1), max_size=3 - depth))
        if children:
            made["provision"] = children
    return made


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """A clinical resource of patient p or q."""
    made: dict[str, Any] = {
        "resourceType": draw(st.sampled_from(TYPES)),
        "id": draw(st.sampled_from(["1", "2"])),
        "meta": {"security": [label(each) for each in draw(some(LABELS))]},
        "code": concept(draw(st.sampled_from(CODES))),
        "subject": {"reference": f"Patient/{draw(st.sampled_from(['p', 'p', 'q']))}"},
    }
    when = draw(st.sampled_from(["2019-06-01", "2026-03-01T10:00:00Z", "2031"]))
    named = {"Observation": "effectiveDateTime", "Condition": "onsetDateTime", "Procedure": "performedDateTime"}
    return {**made, named[made["resourceType"]]: when}


def refused(provision: dict[str, Any]) -> bool:
    """Whether a permit names two levels, or one below N, which is not accepted."""
    levels = "".join(each["code"] for each in provision.get("securityLabel", []) if len(each["code"]) == 1)
    if provision["type"] == "permit" and (len(levels) > 1 or levels == "L"):
        return True
    return any(refused(child) for child in provision.get("provision", []))


@given(
    st.lists(provisions(), min_size=1, max_size=3),
    st.lists(resources(), min_size=1, max_size=8),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    st.sampled_from(["TREAT", "ETREAT", "HPAYMT", "FAMRQT"]),
    st.sampled_from(["active", "active", "active", "inactive"]),
)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_rules_say_what_consents_say(
    tenant: TestTenant,
    trees: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    actors: list[str],
    why: str,
    status: str,
) -> None:
    assume(not any(refused(tree) for tree in trees))
    consents = [consent("p", tree, status) for tree in trees]
    registry = base_registry()
    reader = Reader(registry, BASE, ZoneInfo("UTC"))
    db = session()
    state = find(db, tenant.slug)
    db.enter(tenant.id, None, state.registry_version)
    consent_rules.replace(db, tenant.id, {n: rules_of(each, reader) for n, each in enumerate(consents, 1)}, ())
    asked, expected = [], []
    for resource in rows:
        index = extract(registry, resource, BASE)
        assert index.ts is not None
        own = self_key(resource["resourceType"], resource["id"])
        asked.append((registry.type_ids[resource["resourceType"]], index.keys, index.ts, own))
        expected.append(hides(consents, resource, index.ts, Asker(tuple(actors), why, now_us())))
    found = denied(db, tenant.id, asked, actors=actors, purposes=(why,))
    db.rollback()
    assert found == expected
