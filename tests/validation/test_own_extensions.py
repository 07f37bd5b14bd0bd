"""Extensions that this server defines are checked by their definitions; others' are not."""

from typing import Any

import pytest

from fhir_server.conformance.own_definitions import own_definitions
from fhir_server.validation.extensions import OWN as PREFIX
from fhir_server.validation.extensions import own_issues as issues

HOLD = f"{PREFIX}hold-expires"
WALL = f"{PREFIX}wall-time"


def appointment(*extensions: dict[str, Any]) -> dict[str, Any]:
    """An Appointment with extensions."""
    return {"resourceType": "Appointment", "extension": list(extensions)}


@pytest.mark.parametrize(
    "extension",
    [
        {"url": HOLD, "valueInstant": "2027-01-01T00:00:00Z"},
        {"url": WALL, "extension": [{"url": "start", "valueString": "2027-01-01T09:00"}, {"url": "timezone", "valueCode": "Africa/Dakar"}]},
        {"url": "http://example.org/theirs", "valueString": "anything"},
    ],
)
def test_right_ones(extension: dict[str, Any]) -> None:
    assert issues(appointment(extension)) == []


@pytest.mark.parametrize(
    ("extension", "path"),
    [
        ({"url": f"{PREFIX}hold-expire", "valueInstant": "2027-01-01T00:00:00Z"}, "Appointment.extension[0].url"),
        ({"url": HOLD, "valueString": "2027-01-01T00:00:00Z"}, "Appointment.extension[0].value"),
        ({"url": HOLD}, "Appointment.extension[0].value"),
        ({"url": WALL, "extension": [{"url": "begin", "valueString": "x"}]}, "Appointment.extension[0].extension[0].url"),
        ({"url": WALL, "extension": [{"url": "start", "valueString": "2027-01-01T09:00"}]}, "Appointment.extension[0].extension"),
    ],
)
def test_wrong_ones(extension: dict[str, Any], path: str) -> None:
    assert path in [issue.expression for issue in issues(appointment(extension))]


def test_place_and_number() -> None:
    hold = {"url": HOLD, "valueInstant": "2027-01-01T00:00:00Z"}
    assert issues({"resourceType": "Patient", "extension": [hold]})
    assert issues(appointment(hold, hold))


@pytest.mark.parametrize("definition", own_definitions("structures"), ids=lambda d: d["id"])
def test_definitions_are_whole(definition: dict[str, Any]) -> None:
    """Every extension names where it stands and its own url."""
    assert definition["url"] == f"{PREFIX}{definition['id']}"
    if definition["type"] == "Extension":
        fixed = [e.get("fixedUri") for e in definition["differential"]["element"] if e["id"] == "Extension.url"]
        assert fixed == [definition["url"]] and definition["context"]
