"""What a stolen board or kiosk is good for: nothing but what hangs on the wall anyway."""

from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.rest.dispatch import session
from fhir_server.security import devices, web_sessions
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.place import plain
from tests.features.queue.waiting import Room, device, signed_in


@pytest.fixture(scope="module")
def room(tenant: TestTenant, client: Client) -> Room:
    made = Room(tenant, client)
    made.counter.take(patient=made.patient("+212612000000"))
    made.booked(made.patient("+212612000001"), clock.now())
    return made


READS = (
    "Patient", "Patient?phone=%2B212612000000", "Patient?birthdate=1980-03-02", "Patient/{patient}", "Patient/{patient}/_history",
    "Patient/{patient}/_history/1", "Patient/{patient}/$everything", "Patient/{patient}/$disclosures", "Patient/_history", "_history", "?_type=Patient",
    "Patient/{patient}/Appointment", "Patient?_id={patient}&_revinclude=Task:patient", "Task", "Task?_include=Task:patient", "Task/{task}",
    "Task/{task}/_history", "Task/{task}/$position", "Appointment", "Appointment/{appointment}", "Appointment?_include=Appointment:patient",
    "Encounter", "Observation/$lastn", "HealthcareService", "HealthcareService/{queue}", "HealthcareService/{queue}/$queue",
    "HealthcareService/{queue}?_elements=name", "HealthcareService?_revinclude=Appointment:actor", "Location/{site}", "Device", "Device/{self}",
    "Device/{other}/$waiting-room", "Device/$sign-ins", "AuditEvent", "AuditEvent?agent=x", "Practitioner", "Schedule", "Slot", "Communication",
    "Appointment/{appointment}/$check-in-code", "Appointment/{appointment}/$ics", "StructureDefinition?_count=1", "Binary/x", "List/$find",
)  # fmt: skip
WRITES = (
    ("POST", "Patient/_search", None), ("POST", "Patient", {"resourceType": "Patient"}), ("PUT", "Device/{self}", {"resourceType": "Device", "id": "{self}", "location": {"reference": "Location/elsewhere"}}),
    ("POST", "Task/{task}/$ticket-link", None), ("POST", "Task/{task}/$cancel", None), ("POST", "Task/{task}/$check-in", None),
    ("POST", "HealthcareService/{queue}/$call-next", None), ("POST", "HealthcareService/{queue}/$take-ticket", None),
    ("POST", "HealthcareService/{queue}/$close", None), ("POST", "Appointment/{appointment}/$check-in", None), ("POST", "Device/{self}/$pair", None),
    ("POST", "Device/{self}/$unpair", None), ("POST", "Device/{other}/$self-check-in", {"resourceType": "Parameters", "parameter": [{"name": "queue", "valueReference": {"reference": "HealthcareService/{queue}"}}]}),
    ("DELETE", "Device/{self}", None), ("PATCH", "Device/{self}", None), ("POST", "Patient/{patient}/$break-glass", None),
)  # fmt: skip


def names(room: Room, who: str) -> dict[str, str]:
    """What the attacks are about."""
    (appointment,) = room.staff.search("Appointment")
    task = room.staff.search("Task")[0]
    own, other = (room.board_id, room.kiosk_id) if who == "board" else (room.kiosk_id, room.board_id)
    return {
        "patient": task["for"]["reference"].partition("/")[2], "task": task["id"], "appointment": appointment["id"],
        "queue": room.counter.id, "site": room.site.partition("/")[2], "self": own, "other": other,
    }  # fmt: skip


def filled(value: Any, known: dict[str, str]) -> Any:
    """With the marks replaced."""
    if isinstance(value, dict):
        return {key: filled(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, known) for each in value]
    for name, text in known.items():
        value = value.replace(f"{{{name}}}", text) if isinstance(value, str) else value
    return value


@pytest.mark.parametrize("who", ["board", "kiosk"])
def test_nothing_can_be_read_by_any_path(room: Room, who: str) -> None:
    by, known = getattr(room, who), names(room, who)
    opened = {path: answer.status for path in READS if (answer := by.get(filled(path, known))).status < 400}
    assert opened == {}
    # The same paths are open to who may read: so they do lead somewhere.
    assert sum(room.staff.get(filled(path, known)).status < 400 for path in READS) > 30
    asked = [filled(path, known) for path in READS]
    for kind in ("batch", "transaction"):
        entries = [{"request": {"method": "GET", "url": path}} for path in (asked if kind == "batch" else asked[:1])]
        answer = by.post("", {"resourceType": "Bundle", "type": kind, "entry": entries})
        inner = [e["response"]["status"][:1] for e in answer.json.get("entry", [])] if answer.status == 200 else ["4"]
        assert set(inner) == {"4"}, answer.text


@pytest.mark.parametrize("who", ["board", "kiosk"])
def test_nothing_can_be_changed(room: Room, who: str) -> None:
    by, known = getattr(room, who), names(room, who)
    events = len(room.counter.events())
    opened = {}
    for method, path, body in WRITES:
        answer = by.request(method, filled(path, known), filled(body, known) if body else None)
        if answer.status < 400:
            opened[f"{method} {path}"] = answer.text
    assert opened == {} and len(room.counter.events()) == events


def test_a_board_gives_no_tickets(room: Room) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "queue", "valueReference": {"reference": f"HealthcareService/{room.counter.id}"}}]}
    assert room.board.post(f"Device/{room.board_id}/$self-check-in", body).status == 403


@pytest.mark.parametrize("who", ["board", "kiosk"])
def test_no_stream_tells_a_device_anything(room: Room, who: str) -> None:
    by = getattr(room, who)
    for topic in (f"queue:{room.counter.id}", f"patient:{names(room, who)['patient']}", "type:Patient", "type:Task"):
        answer = by.get(f"/t/{room.tenant.slug}/events?topic={topic}")
        assert answer.status in (403, 404), (topic, answer.text)


def test_answers_name_nobody(room: Room) -> None:
    told = room.board.get(f"Device/{room.board_id}/$waiting-room").text
    known = names(room, "board")
    assert known["patient"] not in told and known["task"] not in told and known["appointment"] not in told
    assert "Task/" not in told and "Patient/" not in told


# -- getting in --------------------------------------------------------------------------------------------------------


def pairing(room: Room, kind: str = "board") -> tuple[str, str]:
    """The id of a new device, and its code."""
    made = room.staff.create(device(kind, room.site))["id"]
    answer = room.staff.post(f"Device/{made}/$pair")
    assert answer.status == 200, answer.text
    return made, plain(answer.json)["code"]


def redeem(room: Room, code: str) -> str | None:
    """The session that a code gives."""
    db = session()
    room.counter.tend()
    found = devices.pair(db, room.tenant.id, code, agent="Tests", address="192.0.2.9", replaces=None)
    db.commit()
    return found


def test_a_code_is_good_once_and_only_the_newest(room: Room) -> None:
    made, first = pairing(room)
    second = plain(room.staff.post(f"Device/{made}/$pair").json)["code"]
    assert redeem(room, first) is None
    assert redeem(room, f" {second.lower().replace('-', '')} ") is not None
    assert redeem(room, second) is None
    assert redeem(room, "") is None and redeem(room, "AAAA-AAAA") is None


def test_a_code_is_too_old_after_a_quarter_of_an_hour(room: Room) -> None:
    _, code = pairing(room)
    db = session()
    room.counter.tend()
    db.run([("UPDATE user_code SET expires_at = now() - interval '1 second' WHERE tenant_id = $1 AND purpose = 'pairing'", (room.tenant.id,))], final=True)
    db.commit()
    assert redeem(room, code) is None


def test_pairing_anew_ends_the_sign_in_before(room: Room) -> None:
    made, by = signed_in(room.tenant, room.staff, "board", room.site)
    path = f"Device/{made}/$waiting-room"
    code = plain(room.staff.post(f"Device/{made}/$pair").json)["code"]
    assert by.get(path).status == 200
    assert redeem(room, code) is not None
    assert by.get(path).status == 401


def test_a_device_that_is_unpaired_is_out_at_once(room: Room) -> None:
    made, by = signed_in(room.tenant, room.staff, "kiosk", room.site)
    code = plain(room.staff.post(f"Device/{made}/$pair").json)["code"]
    assert plain(room.staff.post(f"Device/{made}/$unpair").json) == {"ended": True}
    assert by.get(f"Device/{made}/$waiting-room").status == 401
    assert redeem(room, code) is None
    states = {e["part"][0]["valueReference"]["reference"]: plain(e)["state"] for e in room.staff.get("Device/$sign-ins").json["parameter"]}
    assert states[f"Device/{made}"] == "ended" and states[f"Device/{room.board_id}"] == "paired"
    assert redeem(room, plain(room.staff.post(f"Device/{made}/$pair").json)["code"]) is not None


def test_a_sign_in_lasts_without_anybody_touching_it(room: Room) -> None:
    _, code = pairing(room)
    cookie = redeem(room, code)
    assert cookie is not None
    db = session()
    room.counter.tend()
    db.run([("UPDATE web_session SET last_seen_at = now() - interval '40 days' WHERE tenant_id = $1 AND hash = decode($2, 'hex')", (room.tenant.id, web_sessions.digest(cookie).hex()))], final=True)
    db.commit()
    room.counter.tend()
    found = web_sessions.find(db, room.tenant.id, cookie)
    db.commit()
    assert found is not None and found.user.role == "board"


@pytest.mark.parametrize("change", [{"type": None}, {"location": None}, {"status": "inactive"}, {"type": {"coding": [{"system": "urn:salam:CodeSystem:device-kind", "code": "robot"}]}}])
def test_only_a_device_in_use_at_a_place_is_paired(room: Room, change: dict[str, Any]) -> None:
    made = {name: value for name, value in {**device("board", room.site), **change}.items() if value is not None}
    stored = room.staff.create(made)
    answer = room.staff.post(f"Device/{stored['id']}/$pair")
    assert answer.status == 422 and answer.issues[0]["expression"][0].startswith("Device."), answer.text


def test_who_may_pair(room: Room) -> None:
    made, _ = pairing(room)
    for scope in ("system/*.cruds", "system/Device.cruds"):
        assert room.tenant.client(scope).post(f"Device/{made}/$pair").status == 403
    assert room.tenant.client("system/Device.r operator").post(f"Device/{made}/$pair").status == 403
    assert room.staff.post("Device/none/$pair").status == 404
