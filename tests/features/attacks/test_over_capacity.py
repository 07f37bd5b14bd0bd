"""What stands beyond capacity leaves no place when somebody else goes."""

from datetime import timedelta
from typing import Any

from tests.client import Client
from tests.features.attacks.tries import raw
from tests.features.scheduling.clinic_day import BOOKING, Practice, given, in_days, iso, matched

START = in_days()


def overbooked(practice: Practice) -> dict[str, Any]:
    visit = practice.appointment(practice.patient(), START, meta={"tag": [{"system": BOOKING, "code": "overbooked"}]})
    return matched(practice.client.post("Appointment/$book", given(visit, comment="A reason.")))


def test_who_goes_leaves_no_place_while_the_overbooked_one_stays(client: Client) -> None:
    practice = Practice(client)
    first = practice.booked(practice.patient(), START)
    overbooked(practice)
    assert client.post(f"Appointment/{first['id']}/$cancel").status == 200
    assert client.post("Appointment", raw(practice, START)).status == 409
    assert practice.book(practice.patient(), START).status == 409


def test_an_overbooked_block_blocks_the_rest(client: Client) -> None:
    """A block that is entered over visits (absence) keeps everybody else out."""
    practice = Practice(client)
    practice.booked(practice.patient(), START)
    period = {"start": iso(START), "end": iso(START + timedelta(hours=3))}
    answer = client.post(
        f"{practice.practitioner[0]}/$absence",
        {"resourceType": "Parameters", "parameter": [{"name": "period", "valuePeriod": period}]},
    )
    assert answer.status == 200, answer.text
    later = START + timedelta(hours=1)
    assert client.post("Appointment", raw(practice, later)).status == 409
    assert practice.book(practice.patient(), later).status == 409
    assert practice.book(practice.patient(), START).status == 409
