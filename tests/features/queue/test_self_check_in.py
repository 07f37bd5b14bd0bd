"""Somebody at the kiosk: a ticket without a name, by a code, or by phone and date of birth; and whatever does not fit."""

from datetime import timedelta
from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.storage.session import Session
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.queue.counter import Counter, later, number, refusal, state
from tests.features.queue.place import plain
from tests.features.queue.waiting import Room, signed_in
from tests.rest.bodies import mark

PHONE, BORN = "+212 6 12-34-56-78", "1980-03-02"
SOON = timedelta(minutes=10)


@pytest.fixture(scope="module")
def fresh() -> Any:
    """Phone numbers that no other test has tried."""
    return iter(f"+2126{60000000 + n}" for n in range(10_000))


@pytest.fixture
def room(tenant: TestTenant, client: Client) -> Room:
    return Room(tenant, client)


@pytest.fixture
def phone(fresh: Any) -> str:
    return str(next(fresh))


def code(room: Room, booked: dict[str, Any], by: Client | None = None) -> str:
    """What the QR code of an Appointment says."""
    answer = (by or room.staff).get(f"Appointment/{booked['id']}/$check-in-code")
    assert answer.status == 200, answer.text
    return str(plain(answer.json)["code"])


def follow(url: str) -> dict[str, Any]:
    """What the secret link on a slip shows."""
    slug = url.partition("/t/")[2].partition("/")[0]
    answer = Client(slug, None).get("/t/" + url.partition("/t/")[2])
    assert answer.status == 200, answer.text
    shown: dict[str, Any] = answer.json
    return shown


# -- a ticket without a name -------------------------------------------------------------------------------------------


def test_a_ticket_of_a_chosen_queue(room: Room) -> None:
    slip = room.slip(queue=f"HealthcareService/{room.counter.id}", language="ar")
    assert (slip["number"], slip["state"], slip["position"], slip["queue"]) == ("A-001", "waiting", 1, "Consultation")
    assert slip["estimate"]["low"] < slip["estimate"]["high"]
    assert follow(slip["url"])["number"] == "A-001"
    called = room.counter.call(desk="1")
    assert (number(called), called["language"], "for" in called) == ("A-001", "ar", False)
    assert room.counter.events()[0].agent.startswith("user:")


def test_the_audit_log_names_the_kiosk(room: Room) -> None:
    room.slip(queue=f"HealthcareService/{room.counter.id}")
    agents = [a["who"].get("reference") for e in room.staff.search("AuditEvent?subtype=operation&_count=20") for a in e["agent"]]
    assert f"Device/{room.kiosk_id}" in agents
    created = [a["who"].get("reference") for e in room.staff.search("AuditEvent?subtype=create&_count=20") for a in e["agent"]]
    assert f"Device/{room.kiosk_id}" in created


def test_a_double_tap_gives_one_ticket(room: Room) -> None:
    key, queue = mark(), f"HealthcareService/{room.counter.id}"
    first, second = room.slip(queue=queue, key=key), room.slip(queue=queue, key=key)
    assert first == second and len(room.counter.events()) == 1
    assert room.slip(queue=queue, key=mark())["number"] == "A-002"


def test_closed_and_full_queues_say_so(room: Room) -> None:
    queue = f"HealthcareService/{room.counter.id}"
    room.counter.queue("close")
    assert refusal(room.ask(queue=queue)) == (409, "queue-closed")
    small = Counter(room.staff, room.tenant.id, rules={"maxWaiting": 1}, more={"location": [{"reference": room.site}]})
    room.slip(queue=f"HealthcareService/{small.id}")
    assert refusal(room.ask(queue=f"HealthcareService/{small.id}")) == (409, "queue-full")


def test_queues_of_other_places_are_not_there(room: Room) -> None:
    away = Counter(room.staff, room.tenant.id)
    answers = [room.ask(queue=f"HealthcareService/{each}") for each in (away.id, "nowhere")]
    assert [a.status for a in answers] == [404, 404] and answers[0].body == answers[1].body
    assert away.events() == []


# -- who has an appointment --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["+{0}", "0{1}", "00{0}", "{1}", "0{2}"])
def test_phone_and_birth_date_however_the_number_is_written(room: Room, phone: str, written: str) -> None:
    booked = room.booked(room.patient(phone, BORN), clock.now() + SOON)
    national = phone.removeprefix("+212")
    spaced = " ".join([national[0], national[1:3], national[3:5], national[5:]])
    slip = room.slip(phone=written.format(phone[1:], national, spaced), birthDate=BORN)
    assert (slip["number"], slip["state"]) == ("A-001", "waiting")
    assert room.counter.read(booked)["status"] == "checked-in"
    again = room.slip(phone=phone, birthDate=BORN)
    assert again["number"] == "A-001" and len(room.counter.events()) == 1


def test_a_scanned_code(room: Room) -> None:
    booked = room.booked(room.patient(PHONE), clock.now() + SOON)
    slip = room.slip(code=code(room, booked))
    assert slip["number"] == "A-001" and set(slip) <= {
        "number", "queue", "state", "position", "estimate", "url", "takenAt", "desk"}
    task = room.counter.read(f"Task/{room.staff.search('Task?_sort=-_lastUpdated&_count=1')[0]['id']}")
    assert task["focus"]["reference"] == f"Appointment/{booked['id']}" and "encounter" in task


def test_the_patient_himself_gets_the_code_and_nobody_else(room: Room) -> None:
    who = room.patient(PHONE)
    booked = room.booked(who, clock.now() + SOON)
    own = room.tenant.client("patient/Appointment.cru", patient=who.partition("/")[2])
    assert code(room, booked, own) == code(room, booked)
    for other in (
        room.tenant.client("patient/Appointment.cru", patient=room.counter.patient().partition("/")[2]),
        room.tenant.client("patient/Appointment.rs", patient=who.partition("/")[2]), room.kiosk, room.board,
    ):  # fmt: skip
        assert other.get(f"Appointment/{booked['id']}/$check-in-code").status in (403, 404)


def test_a_ticket_taken_from_home(room: Room, phone: str) -> None:
    who = room.patient(phone, BORN)
    taken = room.counter.take(patient=who, remote=True)
    link = plain(room.staff.post(f"Task/{taken['id']}/$ticket-link").json)["url"]
    slip = room.slip(code=link)
    assert (slip["number"], state(room.counter.read(taken))) == (number(taken), "waiting")
    assert room.counter.row(taken).present
    other = room.counter.take(patient=room.patient("+212655000001", "1999-09-09"), remote=True)
    assert room.slip(phone="0655000001", birthDate="1999-09-09")["number"] == number(other)


def test_too_early_is_told_with_the_hour(room: Room, phone: str) -> None:
    start = clock.now() + timedelta(hours=2)
    booked = room.booked(room.patient(phone, BORN), start)
    slip = room.slip(phone=phone, birthDate=BORN)
    assert set(slip) == {"earlyUntil"} and room.counter.events() == []
    assert room.counter.read(booked)["status"] == "booked"
    with later(minutes=91):
        assert room.slip(phone=phone, birthDate=BORN)["number"] == "A-001"


def test_of_two_visits_the_nearest_counts(room: Room, phone: str) -> None:
    who = room.patient(phone, BORN)
    missed = room.booked(who, clock.now() - timedelta(hours=3))
    now = room.booked(who, clock.now() + SOON)
    room.slip(phone=phone, birthDate=BORN)
    assert [room.counter.read(each)["status"] for each in (missed, now)] == ["booked", "checked-in"]


def test_a_booked_service_that_is_no_queue_leads_to_the_first_queue(room: Room, phone: str) -> None:
    service = room.staff.create({"resourceType": "HealthcareService", "active": True, "name": "Z", "location": [{"reference": room.site}]})
    actors = [f"HealthcareService/{service['id']}", room.patient(phone, BORN)]
    start = clock.now() + SOON
    room.staff.create({
        "resourceType": "Appointment", "status": "booked", "start": start.isoformat(),
        "end": (start + SOON).isoformat(),
        "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in actors],
    })  # fmt: skip
    assert room.slip(phone=phone, birthDate=BORN)["queue"] == "Consultation"


def test_who_was_called_meanwhile_is_told_where_to_go(room: Room, phone: str) -> None:
    room.booked(room.patient(phone, BORN), clock.now() + SOON)
    room.slip(phone=phone, birthDate=BORN)
    room.counter.call(desk="Cabinet 3")
    slip = room.slip(phone=phone, birthDate=BORN)
    assert (slip["state"], slip["desk"], "position" in slip) == ("called", "Cabinet 3", False)


# -- who does not fit --------------------------------------------------------------------------------------------------


def strangers(room: Room, phone: str) -> dict[str, dict[str, str]]:
    """What is said by people who get nothing, by why."""
    room.booked(room.patient(phone, BORN), clock.now() + SOON)
    room.patient("+212677000001", BORN)
    tomorrow = room.booked(room.patient("+212677000002", BORN), clock.now() + timedelta(days=1))
    away = Counter(room.staff, room.tenant.id, more={"location": [{"reference": f"Location/{room.staff.create({'resourceType': 'Location'})['id']}"}]})
    elsewhere = away.appointment(room.patient("+212677000003", BORN), clock.now() + SOON)
    cancelled = room.booked(room.patient("+212677000004", BORN), clock.now() + SOON, status="cancelled", cancelationReason={"text": "x"})
    for _ in range(2):
        room.booked(room.patient("+212677000005", BORN), clock.now() + SOON)
    return {
        "wrong date": {"phone": phone, "birthDate": "1980-03-03"},
        "wrong phone": {"phone": "+212677999999", "birthDate": BORN},
        "no phone at all": {"phone": "abc", "birthDate": BORN},
        "a patient without a visit": {"phone": "+212677000001", "birthDate": BORN},
        "tomorrow": {"phone": "+212677000002", "birthDate": BORN},
        "another site": {"phone": "+212677000003", "birthDate": BORN},
        "cancelled": {"phone": "+212677000004", "birthDate": BORN},
        "twins": {"phone": "+212677000005", "birthDate": BORN},
        "tomorrow by code": {"code": code(room, tomorrow)},
        "another site by code": {"code": code(room, elsewhere)},
        "cancelled by code": {"code": code(room, cancelled)},
        "no code": {"code": "ABC"},
        "a made-up code": {"code": f"{tomorrow['id']}.AAAAAAAAAAAAAAAA"},
        "a bare id": {"code": tomorrow["id"]},
        "a long one": {"code": "/" * 199},
        "an address": {"code": "https://example.org/t/x/tickets/AAAAAAAAAAAAAAAA"},
        "surprising letters": {"code": "…\u202e𝔘"},
    }


def test_whatever_does_not_fit_has_one_answer_and_leaves_nothing(room: Room, phone: str) -> None:
    cases = strangers(room, phone)
    answers = {why: room.ask(**given) for why, given in cases.items()}
    assert {why: a.status for why, a in answers.items() if a.status != 404} == {}
    assert len({a.body for a in answers.values()}) == 1
    assert refusal(answers["twins"]) == (404, "unknown-visitor")
    assert room.counter.events() == [] and "677" not in answers["twins"].text


@pytest.mark.parametrize("given", [
    {}, {"phone": "0612345678"}, {"birthDate": BORN}, {"code": "x", "phone": "0612345678", "birthDate": BORN},
    {"phone": "0612345678", "birthDate": "1980"}, {"phone": "0612345678", "birthDate": "1980-13-40"}, {"code": ""},
    {"code": "x" * 201}, {"phone": " ", "birthDate": BORN}, {"name": "Alami"}, {"patient": "Patient/1"},
])  # fmt: skip
def test_a_wrong_form_is_told(room: Room, given: dict[str, str]) -> None:
    answer = room.ask(**given)
    assert answer.status in (400, 422) and answer.issues[0]["details"]["text"], answer.text


@pytest.mark.usefixtures("one_window")
def test_guesses_are_counted_for_each_phone_and_each_kiosk(room: Room, phone: str) -> None:
    room.booked(room.patient(phone, BORN), clock.now() + SOON)
    tries = [room.ask(phone=phone, birthDate=f"1980-04-{day:02}") for day in range(1, 8)]
    assert [a.status for a in tries] == [404] * 5 + [429] * 2 and int(tries[5].headers["Retry-After"]) > 0
    # However it is written, and whoever is right now: the number is closed for an hour.
    assert room.ask(phone=phone.replace("+212", "0"), birthDate=BORN).status == 429
    _, other = signed_in(room.tenant, room.staff, "kiosk", room.site)
    room.kiosk_id, room.kiosk = _, other
    assert room.ask(phone=phone, birthDate=BORN).status == 429
    # Another number and a walk-in are nobody's fault.
    assert room.slip(queue=f"HealthcareService/{room.counter.id}")["number"] == "A-001"


@pytest.mark.usefixtures("one_window")
def test_a_kiosk_that_tries_one_number_after_the_other_is_stopped(room: Room) -> None:
    statuses = [room.ask(phone=f"+2126990{n:05}", birthDate=BORN).status for n in range(42)]
    assert statuses == [404] * 40 + [429] * 2


@pytest.mark.usefixtures("one_window")
@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_bundle_does_not_hide_guesses(room: Room, phone: str, kind: str) -> None:
    room.booked(room.patient(phone, BORN), clock.now() + SOON)

    def guess(day: int) -> dict[str, Any]:
        body = {"resourceType": "Parameters", "parameter": [{"name": "phone", "valueString": phone}, {"name": "birthDate", "valueDate": f"1980-04-{day:02}"}]}
        return {"resource": body, "request": {"method": "POST", "url": f"Device/{room.kiosk_id}/$self-check-in"}}

    spoiled = {"request": {"method": "GET", "url": "Patient/none"}}
    for day in range(1, 6):
        room.kiosk.post("", {"resourceType": "Bundle", "type": kind, "entry": [guess(day), *([spoiled] if kind == "transaction" else [])]})
    assert room.ask(phone=phone, birthDate=BORN).status == 429


def test_whatever_does_not_fit_is_the_same_work(room: Room, phone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    run = Session.run

    def counted(self: Session, statements: Any, **how: Any) -> Any:
        asked.extend(each[0] for each in statements)
        return run(self, statements, **how)

    cases = {why: given for why, given in strangers(room, phone).items() if "phone" in given}
    room.ask(phone="+212677888888", birthDate=BORN)
    monkeypatch.setattr(Session, "run", counted)
    work = {}
    for why, given in cases.items():
        asked.clear()
        room.ask(**given)
        # Old counts are swept away now and then, whoever comes.
        work[why] = [sql for sql in asked if "FOR UPDATE SKIP LOCKED" not in sql]
    first = work["wrong date"]
    assert len(first) > 5 and {why: sql for why, sql in work.items() if sql != first} == {}
