"""The demo's records: deterministic, closed under references, and valid R4 as far as the structures say."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import decode, encode
from fhir_server.demo import generate as demo
from fhir_server.demo.agenda import DAYS

# A Saturday, in the morning.
NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)


def generate(seed: int, patients: int, now: datetime = NOW) -> list[dict[str, Any]]:
    return list(demo.generate(seed, patients, now=now))


def resources(bundles: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for bundle in bundles for entry in bundle.get("entry", ())]
    return [resource for resource in found if resource["resourceType"] == kind]


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if isinstance(value.get("reference"), str) else []
    return own + [found for item in value.values() for found in references(item)]


def shape_errors(value: Any, type_name: str, path: str) -> list[str]:
    """Elements that the structure does not have, wrong cardinality and text against a primitive's pattern."""
    structure = base_registry().structures[type_name]
    if structure.kind == "primitive-type":
        pattern = structure.pattern
        return [path] if pattern and isinstance(value, str) and not re.fullmatch(pattern, value) else []
    found = [f"{path}.{e.name} is missing" for e in structure.elements.values()
             if e.min and not e.choice and e.name not in value]  # fmt: skip
    for name, inner in value.items():
        if name == "resourceType":
            continue
        element = structure.elements.get(name)
        if element is None:
            found.append(f"{path}.{name} is unknown")
            continue
        if isinstance(inner, list) == (element.max == 1):
            found.append(f"{path}.{name} repeats or not")
        for item in inner if isinstance(inner, list) else [inner]:
            found += shape_errors(item, element.type, f"{path}.{name}")
    return found


def test_the_same_seed_gives_the_same_records() -> None:
    assert encode(generate(7, 6)) == encode(generate(7, 6))
    assert encode(generate(8, 3)[1]) != encode(generate(7, 3)[1])


@pytest.mark.parametrize("patients", [0, 3, 60, 61, 100, 101, 400])
def test_it_says_how_many_bundles_there_are(patients: int) -> None:
    assert len(generate(1, patients)) == demo.count(patients)


def test_the_site_and_the_agenda_are_written_by_put_with_fixed_ids() -> None:
    bundles = generate(1, 100)
    for bundle in [bundles[0], *bundles[-len(DAYS) :]]:
        assert {entry["request"]["method"] for entry in bundle.get("entry", ())} <= {"PUT"}
        assert all(entry["request"]["url"].endswith(entry["resource"]["id"]) for entry in bundle.get("entry", ()))
    urls = [e["request"]["url"] for b in bundles for e in b.get("entry", ()) if e["request"]["method"] == "PUT"]
    assert len(set(urls)) == len(urls)


def test_every_reference_has_its_target_before_it() -> None:
    known: set[str | None] = set()
    for bundle in generate(3, 120):
        entries = bundle.get("entry", ())
        known |= {entry.get("fullUrl", entry["request"]["url"]) for entry in entries}
        assert not [r for entry in entries for r in references(entry["resource"]) if r not in known]


def test_every_resource_has_the_shape_of_its_type() -> None:
    for bundle in generate(5, 80):
        for entry in decode(encode(bundle)).get("entry", ()):
            resource = entry["resource"]
            assert shape_errors(resource, resource["resourceType"], resource["resourceType"]) == []


def test_the_shape_check_finds_a_bad_resource() -> None:
    bad = {"resourceType": "Patient", "name": {"family": "X"}, "nickname": "y", "birthDate": "21/11/2026"}
    assert len(shape_errors(bad, "Patient", "Patient")) == 3


def test_nobody_is_booked_twice() -> None:
    bundles = generate(2, 400)
    slots = [(slot["schedule"]["reference"], slot["start"]) for slot in resources(bundles, "Slot")]
    assert len(set(slots)) == len(slots)
    visits = [a for a in resources(bundles, "Appointment") if a["status"] not in ("cancelled", "waitlist")]
    days = [(a["participant"][0]["actor"]["reference"], a["start"][:10]) for a in visits]
    assert len(set(days)) == len(days)


def test_a_record_is_varied() -> None:
    kinds = Counter(e["resource"]["resourceType"] for b in generate(1, 40)[1:41] for e in b["entry"])
    assert {"Patient", "Encounter", "Observation", "Condition", "MedicationRequest", "AllergyIntolerance"} <= set(kinds)
    assert kinds["Patient"] == 40


def test_the_clinic_is_believable() -> None:
    bundles = generate(1, 400)
    patients = resources(bundles, "Patient")
    assert len(patients) == 400
    assert len({patient["name"][0]["text"] for patient in patients}) > 280
    assert {p["telecom"][0]["value"][:4] for p in patients} == {"+212", "+221"}
    assert all(re.fullmatch(r"\+2126\d{8}|\+22177\d{7}", p["telecom"][0]["value"]) for p in patients)
    spoken = {p["communication"][0]["language"]["coding"][0]["code"] for p in patients}
    assert {"ar-MA", "fr-MA", "fr-SN", "wo-SN"} <= spoken
    doctors = [each for each in resources(bundles, "Practitioner") if "communication" in each]
    assert (
        len(doctors),
        len({r["specialty"][0]["coding"][0]["code"] for r in resources(bundles, "PractitionerRole")}),
    ) == (6, 5)
    assert len({c["coding"][0]["code"] for d in doctors for c in d["communication"]}) >= 5


def test_the_agenda_is_past_present_and_future() -> None:
    visits = resources(generate(1, 400), "Appointment")
    today = [a for a in visits if a.get("start", "").startswith("2026-11-21")]
    assert {"fulfilled", "booked"} <= {a["status"] for a in today}
    now = "2026-11-21T10:15:00Z"
    for each in visits:
        if each["status"] in ("fulfilled", "noshow"):
            assert each["end"] <= now
        if each["status"] in ("booked", "pending"):
            assert each["start"] > now
    assert {a["status"] for a in visits} >= {
        "fulfilled",
        "noshow",
        "cancelled",
        "booked",
        "pending",
        "checked-in",
        "waitlist",
    }
    # The 18th is a holiday, Independence Day; Sundays have one doctor.
    days = Counter(a["start"][:10] for a in visits if "start" in a)
    assert days["2026-11-18"] == 0 and 0 < days["2026-11-22"] < 15 < days["2026-11-23"]


@pytest.mark.parametrize("days", range(7))
@pytest.mark.parametrize("hour", [0, 4, 11, 23])
def test_any_moment_has_an_agenda(days: int, hour: int) -> None:
    now = datetime(2026, 11, 23, hour, 30, tzinfo=UTC) + timedelta(days=days)
    statuses = Counter(a["status"] for a in resources(generate(1, 100, now), "Appointment"))
    assert statuses["fulfilled"] > 20 and statuses["booked"] > 20 and statuses["waitlist"] == 1
