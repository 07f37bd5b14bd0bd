"""Where more visits stand than there are seats, because staff or a load said so, nothing is given away on top."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from fhir_server.cli import commands
from tests.client import Answer, Client
from tests.features.scheduling.clinic_day import BOOKING, Practice, given, in_days, iso, matched, named

if TYPE_CHECKING:
    from tests.conftest import TestTenant

Json = dict[str, Any]
TAG: Json = {"meta": {"tag": [{"system": BOOKING, "code": "overbooked"}]}}


def overbooked(client: Client, practice: Practice, start: datetime) -> Json:
    extra = practice.appointment(practice.patient(), start, **TAG)
    return matched(client.post("Appointment/$book", given(extra, comment="Child with fever")))


def raw(client: Client, practice: Practice, start: datetime) -> Answer:
    return client.post("Appointment", practice.appointment(practice.patient(), start, status="booked"))


def cancel(client: Client, visit: Json) -> None:
    assert client.post(f"Appointment/{visit['id']}/$cancel").status == 200


def free_at(client: Client, practice: Practice, start: datetime) -> bool:
    window = f"start={iso(start)}&end={iso(start + timedelta(minutes=30))}"
    answer = client.get(f"Appointment/$find?{window}&practitioner={practice.practitioner[0]}")
    return bool(answer.json["total"])


def test_who_was_put_on_top_keeps_the_time(client: Client) -> None:
    practice, start = Practice(client), in_days()
    first = practice.booked(practice.patient(), start)
    second = overbooked(client, practice, start)
    cancel(client, first)
    assert raw(client, practice, start).status == 409
    assert practice.book(practice.patient(), start).status == 409
    assert not free_at(client, practice, start)
    assert raw(client, practice, start + timedelta(minutes=30)).status == 201
    cancel(client, second)
    assert free_at(client, practice, start) and raw(client, practice, start).status == 201


def test_seats_that_are_left_are_given_away(client: Client) -> None:
    practice, start = Practice(client), in_days()
    practice.schedule[:], practice.practitioner[:] = [], []
    practice.add_schedule(capacity=3)
    visits = [practice.booked(practice.patient(), start) for _ in range(3)]
    overbooked(client, practice, start)
    cancel(client, visits[0])
    assert raw(client, practice, start).status == 409
    cancel(client, visits[1])
    assert free_at(client, practice, start)
    assert [raw(client, practice, start).status for _ in range(2)] == [201, 409]


def test_a_hold_is_booked_though_somebody_was_put_on_top(client: Client) -> None:
    practice = Practice(client, {"bufferBefore": 5, "bufferAfter": 10})
    held = matched(client.post("Appointment/$hold", named(practice.proposal(in_days())["id"])))
    start = datetime.fromisoformat(held["start"])
    overbooked(client, practice, start)
    who = practice.patient()
    person = {"resourceType": "Patient", "id": who.removeprefix("Patient/")}
    sent = named(held["id"])
    sent["parameter"].append({"name": "patient-resource", "resource": person})
    booked = matched(client.post("Appointment/$book", sent))
    assert booked["status"] == "booked"
    assert client.put(f"Appointment/{held['id']}", booked | {"status": "arrived"}).status == 200
    shorter = client.get(f"Appointment/{held['id']}").json
    del shorter["slot"]
    assert client.put(f"Appointment/{held['id']}", shorter).status == 200


def test_a_loaded_block_covers_what_stands_in_it(client: Client, tenant: "TestTenant", tmp_path: Path) -> None:
    practice = Practice(client)
    start, half = in_days(), timedelta(minutes=30)
    loaded: list[Json] = [
        {**practice.appointment(practice.patient(), start + shift, status="booked"), "id": f"{tenant.slug}-a{number}"}
        for number, shift in enumerate((timedelta(), timedelta(), half / 2, 4 * half))
    ]
    block = {
        "resourceType": "Slot",
        "id": f"{tenant.slug}-b",
        "schedule": {"reference": practice.schedule[0]},
        "status": "busy-unavailable",
        "start": iso(start),
        "end": iso(start + 6 * half),
    }
    file = tmp_path / "agenda.ndjson"
    file.write_text("".join(json.dumps(each) + "\n" for each in [*loaded, block]))
    arguments = ["load", "--tenant", tenant.slug, str(file), "--json"]
    result = CliRunner().invoke(commands, arguments, standalone_mode=False, catch_exceptions=False)
    assert json.loads(result.stdout)["failed"] == 0, result.output
    times = [start + number * half for number in range(6)]
    assert [raw(client, practice, at).status for at in times] == [409] * 6
    cancel(client, loaded[0])
    assert client.delete(f"Slot/{block['id']}").status == 204
    assert raw(client, practice, start).status == 409, "two are left of three"
    assert raw(client, practice, start + 2 * half).status == 201
