"""What the attacks have in common."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.client import Answer, Client
from tests.features.scheduling.clinic_day import BOOKING, Practice

Json = dict[str, Any]


def raw(practice: Practice, start: datetime, **more: Any) -> Json:
    """A booked Appointment of a new patient, as another system would write it."""
    return practice.appointment(practice.patient(), start, **{"status": "booked", **more})


def entry(method: str, url: str, resource: Json | None = None) -> Json:
    """An entry of a Bundle of requests."""
    request: Json = {"request": {"method": method, "url": url}}
    return {**request, "resource": resource} if resource else request


def transaction(client: Client, *entries: Json, kind: str = "transaction") -> Answer:
    """Send a Bundle."""
    return client.post("", {"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def without(resource: Mapping[str, Any], *names: str) -> Json:
    return {name: value for name, value in resource.items() if name not in names}


def at_once(client: Client, doctor: str) -> list[tuple[str, str]]:
    """Pairs of a doctor's visits that stand at the same time and were not overbooked on purpose."""
    found = client.search(f"Appointment?actor={doctor}&status=booked,pending,arrived,fulfilled&_count=500")
    expired = [each for each in found if each["status"] == "pending" and "extension" in each]
    tagged = [
        each for each in found if any(tag.get("system") == BOOKING for tag in each.get("meta", {}).get("tag", ()))
    ]
    kept = [each for each in found if each not in expired and each not in tagged]
    pairs = ((a, b) for number, a in enumerate(kept) for b in kept[number + 1 :])
    return [(a["id"], b["id"]) for a, b in pairs if a["start"] < b["end"] and b["start"] < a["end"]]


def given(*parameters: Json) -> Json:
    """A Parameters resource."""
    return {"resourceType": "Parameters", "parameter": list(parameters)}


def reference(name: str, value: str) -> Json:
    """A parameter that refers to a resource."""
    return {"name": name, "valueReference": {"reference": value}}
