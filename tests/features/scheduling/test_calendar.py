"""Calendar feeds and attachments: who may make links, what they show, how they end, DST, cancellations."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from fhir_server.cli.calendar import calendar as command
from fhir_server.core import clock
from tests.client import Answer, Client
from tests.conftest import TestTenant

Json = dict[str, Any]
CASABLANCA = ZoneInfo("Africa/Casablanca")
E = "urn:salam:StructureDefinition:"


@pytest.fixture
def home(new_tenant: Callable[[str], TestTenant]) -> TestTenant:
    return new_tenant("Africa/Casablanca")


@pytest.fixture
def staff(home: TestTenant) -> Client:
    return home.client()


def doctor(staff: Client) -> str:
    name = [{"family": "Benali", "given": ["Salma"]}]
    return f"Practitioner/{staff.create({'resourceType': 'Practitioner', 'name': name})['id']}"


def patient(staff: Client, name: str = "Amina El Idrissi") -> str:
    stored = staff.create(
        {
            "resourceType": "Patient",
            "name": [{"text": name}],
            "telecom": [{"system": "email", "value": "amina@example.org"}],
        }
    )
    return f"Patient/{stored['id']}"


def visit(staff: Client, *actors: str, start: datetime, status: str = "booked", **more: Any) -> Json:
    wall = start.astimezone(CASABLANCA).strftime("%Y-%m-%dT%H:%M")
    return staff.create(
        {
            "resourceType": "Appointment",
            "status": status,
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=30)).isoformat(),
            "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
            "extension": [
                {
                    "url": f"{E}wall-time",
                    "extension": [
                        {"url": "start", "valueString": wall},
                        {"url": "timezone", "valueCode": "Africa/Casablanca"},
                    ],
                }
            ],
            "reasonCode": [{"text": "Severe depression"}],
        }
        | more
    )


def link(staff: Client, actor: str, **parameters: bool) -> str:
    said = [{"name": name, "valueBoolean": value} for name, value in parameters.items()]
    body = {"resourceType": "Parameters", "parameter": said} if said else None
    answer = staff.post(f"{actor}/$calendar-link", body)
    assert answer.status == 200, answer.text
    url = next(each["valueUrl"] for each in answer.json["parameter"] if each["name"] == "url")
    return str(url).removeprefix("http://testserver")


def fetch(path: str, **headers: str) -> Answer:
    return Client("", None).get(path, **headers)


def events(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/calendar")
    return Calendar.from_ical(answer.body).walk("VEVENT")


def soon(hours: int = 24) -> datetime:
    return (clock.now() + timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)


def test_a_feed_says_when_but_not_who_or_why(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    made = visit(staff, who, whom, start=soon())
    answer = fetch(link(staff, who))
    (event,) = events(answer)
    assert str(event["uid"]).startswith(f"{made['id']}@")
    assert event["status"] == "CONFIRMED"
    assert event.decoded("dtstart") == soon()
    assert str(event.decoded("dtstart").tzinfo) == "Africa/Casablanca"
    assert event["summary"] == "Rendez-vous"
    for word in ("Amina", "depression", "amina@example.org"):
        assert word not in answer.text


def test_a_link_with_names_says_who_but_never_why(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    visit(staff, who, whom, start=soon())
    answer = fetch(link(staff, who, names=True))
    assert events(answer)[0]["summary"] == "Amina El Idrissi"
    assert "depression" not in answer.text


def test_names_cannot_break_out_of_their_line(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff, "Eve END:VEVENT\\, ATTENDEE:mailto:x " + "شهيناز " * 30)
    visit(staff, who, whom, start=soon())
    answer = fetch(link(staff, who, names=True))
    (event,) = events(answer)
    assert "شهيناز" in event["summary"]
    assert all(len(line) <= 75 for line in answer.body.split(b"\r\n"))


def test_the_week_in_which_casablanca_changes_its_clock(staff: Client) -> None:
    from fhir_server.features.scheduling import calendar
    from fhir_server.interactions.acting import server_context
    from fhir_server.interactions.worlds import world
    from fhir_server.rest.dispatch import session

    who = doctor(staff)
    for day in range(9, 23):
        visit(staff, who, patient(staff), start=datetime(2026, 2, day, 9, tzinfo=CASABLANCA))
    ctx = server_context(session(), world(session(), staff.slug))
    ctx.now = datetime(2026, 2, 9, tzinfo=UTC)
    feed = calendar.feed(ctx, who, names=False)
    ctx.db.rollback()
    starts = [event.decoded("dtstart") for event in Calendar.from_ical(feed.body).walk("VEVENT")]
    assert [start.strftime("%d %H:%M") for start in starts] == [f"{day:02} 09:00" for day in range(9, 23)]
    assert {start.astimezone(UTC).hour for start in starts} == {8, 9}


def test_changes_raise_the_sequence_and_cancelled_visits_stay_for_30_days(staff: Client) -> None:
    who = doctor(staff)
    made = visit(staff, who, patient(staff), start=soon(24 * 40))
    path = link(staff, who)
    (before,) = events(fetch(path))
    stored = staff.get(f"Appointment/{made['id']}").json
    assert staff.put(f"Appointment/{made['id']}", stored | {"status": "cancelled"}).status == 200
    (after,) = events(fetch(path))
    assert after["uid"] == before["uid"]
    assert int(after["sequence"]) > int(before["sequence"])
    assert after["status"] == "CANCELLED"
    clock.move(timedelta(days=31))
    try:
        assert events(fetch(path)) == []
    finally:
        clock.move(timedelta())


def test_holds_and_deleted_visits_are_not_shown(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    hold = [{"url": f"{E}hold-expires", "valueInstant": soon(1).isoformat()}]
    visit(staff, who, whom, start=soon(24), status="pending", extension=hold)
    gone = visit(staff, who, whom, start=soon(26))
    pending = visit(staff, who, whom, start=soon(28), status="pending")
    assert staff.delete(f"Appointment/{gone['id']}").status == 204
    (event,) = events(fetch(link(staff, who)))
    assert str(event["uid"]).startswith(pending["id"])
    assert event["status"] == "TENTATIVE"


def test_only_the_window_is_shown(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    for days in (-31, -29, 364, 367):
        visit(staff, who, whom, start=soon(24 * days), status="booked")
    assert len(events(fetch(link(staff, who)))) == 2


def test_visits_by_a_role_are_the_practitioner_s_too(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    role = staff.create({"resourceType": "PractitionerRole", "practitioner": {"reference": who}})
    visit(staff, f"PractitionerRole/{role['id']}", whom, start=soon())
    assert len(events(fetch(link(staff, who)))) == 1


def test_the_calendar_of_a_room_and_of_a_schedule(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    room = f"Location/{staff.create({'resourceType': 'Location', 'name': 'Salle 1'})['id']}"
    actors = [{"reference": who}, {"reference": room}]
    schedule = staff.create({"resourceType": "Schedule", "actor": actors})
    here = visit(staff, who, room, whom, start=soon(24))
    visit(staff, who, whom, start=soon(26))
    for actor in (room, f"Schedule/{schedule['id']}"):
        (event,) = events(fetch(link(staff, actor)))
        assert str(event["uid"]).startswith(here["id"])


def test_asking_again_costs_nothing_until_something_changes(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    visit(staff, who, whom, start=soon())
    path = link(staff, who)
    first = fetch(path)
    assert first.headers["Last-Modified"]
    again = fetch(path, if_none_match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    visit(staff, who, whom, start=soon(30))
    changed = fetch(path, if_none_match=first.headers["ETag"])
    assert changed.status == 200
    assert len(events(changed)) == 2


def test_wrong_revoked_and_foreign_links_have_one_answer(
    staff: Client, new_tenant: Callable[[str], TestTenant]
) -> None:
    who = doctor(staff)
    path = link(staff, who)
    secret = path.rsplit("/", 1)[1]
    other = new_tenant("UTC")
    wrong = fetch(f"/t/{staff.slug}/calendars/{'x' * 43}.ics")
    assert wrong.status == 404
    answers = [
        fetch(f"/t/{other.slug}/calendars/{secret}"),
        fetch(f"/t/no-such-tenant/calendars/{secret}"),
        fetch(f"/t/{staff.slug}/calendars/{'y' * 5000}.ics"),
    ]
    revoked = staff.post(f"{who}/$revoke-calendar-links", None)
    assert revoked.json["parameter"][0]["valueInteger"] == 1
    answers.append(fetch(path))
    for answer in answers:
        assert (answer.status, answer.body) == (404, wrong.body)
        assert answer.headers.get("Content-Type") == wrong.headers.get("Content-Type")


def test_a_suspended_tenant_has_no_calendars(staff: Client, home: TestTenant) -> None:
    from fhir_server.rest.dispatch import session
    from fhir_server.storage import operator

    path = link(staff, doctor(staff))
    assert fetch(path).status == 200
    operator.set_status(session(), home.slug, "suspended")
    assert fetch(path).status == 404


def test_patients_make_no_links(staff: Client, home: TestTenant) -> None:
    who, whom = doctor(staff), patient(staff)
    own = home.client("patient/*.cruds", patient=whom.removeprefix("Patient/"))
    assert own.post(f"{who}/$calendar-link", {"resourceType": "Parameters"}).status in (403, 404)
    assert staff.post("Practitioner/nobody/$calendar-link", {"resourceType": "Parameters"}).status == 404


def test_a_feed_with_names_stands_in_the_audit_log(staff: Client) -> None:
    who, whom = doctor(staff), patient(staff)
    made = visit(staff, who, whom, start=soon())
    path = link(staff, who, names=True)
    first = fetch(path)
    assert first.status == 200
    assert fetch(path, if_none_match=first.headers["ETag"]).status == 304
    logged = staff.search("AuditEvent?subtype=search-type&_count=50")
    shown = [event for event in logged if f"Appointment/{made['id']}" in str(event)]
    assert len(shown) == 1, logged


def test_the_attachment_of_a_visit(staff: Client, home: TestTenant) -> None:
    who, whom = doctor(staff), patient(staff)
    video = {
        "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.virtualService",
        "extension": [{"url": "addressUrl", "valueUrl": "https://video.example/room"}],
    }
    made = visit(staff, who, whom, start=soon(), extension=[video])
    answer = staff.get(f"Appointment/{made['id']}/$ics")
    (event,) = events(answer)
    assert "method=REQUEST" in answer.headers["Content-Type"]
    assert str(event["attendee"]) == "mailto:amina@example.org"
    assert "Salma Benali" in event["summary"]
    assert event["url"] == "https://video.example/room"
    assert "depression" not in answer.text
    own = home.client("patient/*.cruds", patient=whom.removeprefix("Patient/"))
    assert own.get(f"Appointment/{made['id']}/$ics").status == 200
    blind = home.client("system/Appointment.rs").get(f"Appointment/{made['id']}/$ics")
    assert blind.status == 200
    assert "amina" not in blind.text.lower(), "who may not see the patient is not told of her"
    stranger = home.client("patient/*.cruds", patient=patient(staff).removeprefix("Patient/"))
    assert stranger.get(f"Appointment/{made['id']}/$ics").status == 404
    stored = staff.get(f"Appointment/{made['id']}").json
    assert staff.put(f"Appointment/{made['id']}", stored | {"status": "cancelled"}).status == 200
    gone = staff.get(f"Appointment/{made['id']}/$ics")
    assert b"METHOD:CANCEL" in gone.body
    assert b"STATUS:CANCELLED" in gone.body


def test_what_waits_stands_in_no_calendar(staff: Client) -> None:
    waiting = staff.create(
        {
            "resourceType": "Appointment",
            "status": "waitlist",
            "participant": [{"actor": {"reference": patient(staff)}, "status": "accepted"}],
        }
    )
    answer = staff.get(f"Appointment/{waiting['id']}/$ics")
    assert answer.status == 422
    assert answer.issues[0]["expression"] == ["Appointment.start"]


def test_the_operator_s_commands(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import json
    from contextlib import nullcontext

    from click.testing import CliRunner

    monkeypatch.setattr("fhir_server.cli.calendar.database", nullcontext)
    who = doctor(staff)

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(command, [*arguments, "--tenant", staff.slug, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    made = run("create", who, "--names")
    path = made["url"][made["url"].index("/t/") :]
    assert fetch(path).status == 200
    (listed,) = run("list")
    assert (listed["id"], listed["actor"], listed["names"], listed["revoked"]) == (made["id"], who, True, "")
    assert made["url"].rsplit("/", 1)[1] not in str(listed)
    run("revoke", made["id"])
    assert fetch(path).status == 404
    assert run("list")[0]["revoked"]
    with pytest.raises(Exception, match="no such link"):
        CliRunner().invoke(command, ["revoke", made["id"], "--tenant", staff.slug], catch_exceptions=False)
