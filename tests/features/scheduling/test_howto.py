"""The set-up of docs/howto/booking.md does what the page says."""

import json
import re

from fhir_server.settings import ROOT
from tests.client import Client
from tests.features.scheduling.clinic_day import all_matched, body, matched

PAGE = (ROOT / "docs" / "howto" / "booking.md").read_text()


def test_set_up_find_hold_and_book(client: Client) -> None:
    resources = re.findall(r"^put (\S+) <<'END'\n(.*?)\nEND$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(resources) >= 3
    for name, text in resources:
        assert client.put(name, json.loads(text)).status == 201, name
    for name in ("p1", "p2"):
        assert client.put(f"Patient/{name}", {"resourceType": "Patient", "id": name}).status == 201
    window = "start=2027-03-01&end=2027-03-31&practitioner=Practitioner/house"
    kind = "visit-type=http%3A%2F%2Fclinic.example%2Ftypes%7Cconsultation"
    found = client.get(f"Appointment/$find?{window}&{kind}&_count=5")
    first = all_matched(found)[0]
    # Until Ramadan ends on 2027-03-14 the clocks of Morocco stand at UTC; 1 March is a Monday.
    assert first["start"] == "2027-03-01T09:00:00Z"
    # Five Mondays and four Thursdays less the two days of the feast: 7 visits on each.
    assert found.json["total"] % 7 == 0 and found.json["total"] > 40
    held = matched(client.post("Appointment/$hold", body(appointment_reference=reference(first["id"]))))
    patient = {"resourceType": "Patient", "id": "p1"}
    given = body(appointment_reference=reference(held["id"]), patient_resource=patient)
    booked = matched(client.post("Appointment/$book", given))
    assert (held["status"], booked["status"], booked["id"]) == ("pending", "booked", held["id"])
    other = body(appointment_reference=reference(first["id"]), patient_resource={**patient, "id": "p2"})
    again = client.post("Appointment/$book", other)
    assert again.status == 409
    assert again.issues[0]["details"]["coding"][0]["code"] == "slot-taken"
    assert [each["start"] for each in again.json["contained"]][0] == "2027-03-01T09:30:00Z"


def reference(resource_id: str) -> dict[str, str]:
    """A reference to an Appointment or a proposal."""
    return {"reference": f"Appointment/{resource_id}"}
