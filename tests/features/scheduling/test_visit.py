"""Which visit an Appointment is about, and whether the rules allow it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.core.context import Context
from fhir_server.core.errors import FhirError, NotFound, Unprocessable
from fhir_server.features.scheduling.visit import (
    Visit,
    alternatives,
    check_bookable,
    check_limits,
    proposed,
    visit_at,
    visit_by_proposal,
    visit_of,
)
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import session
from tests.client import Client
from tests.conftest import TestTenant
from tests.features.scheduling.town import (
    agenda,
    busy,
    code,
    coming,
    doctor,
    find,
    hours,
    make,
    needs,
    proposals,
    reserve,
    rules,
    service,
)

MONDAY = datetime.combine(coming("mon"), datetime.min.time(), UTC)


@pytest.fixture
def ctx(tenant: TestTenant) -> Iterator[Context]:
    db = session()
    with db.hold():
        yield server_context(db, world(db, tenant.slug))
    db.rollback()


def at(hour: int, minute: int = 0, days: int = 0) -> datetime:
    return MONDAY + timedelta(days=days, hours=hour, minutes=minute)


def text(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def one(client: Client, *parts: dict[str, Any], **values: Any) -> tuple[str, str, str]:
    offered = service(client, **values)
    who = doctor(client)
    return offered, who, agenda(client, who, rules(hours("09:00", "12:00", "mon", "tue"), *parts, of=offered))


def written(*actors: str, minutes: int | None = 30, **more: Any) -> dict[str, Any]:
    """An Appointment at nine as another system would send it."""
    start = at(9)
    end = {"end": text(start + timedelta(minutes=minutes))} if minutes else {}
    people = [{"actor": {"reference": name}, "status": "needs-action"} for name in actors]
    return {
        "resourceType": "Appointment",
        "status": "proposed",
        "start": text(start),
        **end,
        "participant": people,
        **more,
    }


def names(visit: Visit) -> list[str]:
    return [f"Schedule/{each['id']}" for each in visit.schedules]


def refused(ctx: Context, visit: Visit, **more: Any) -> str | None:
    """The code of the refusal of an online booking."""
    try:
        check_bookable(ctx, visit, **{"online": True, "patient": None, "now": ctx.now, **more})
    except FhirError as error:
        issue = error.issues[0]
        return issue.detail if (error.status, issue.code) == (422, "business-rule") and issue.expression else issue.text
    return None


def test_a_proposal_comes_back_as_the_visit_that_it_was(client: Client, ctx: Context) -> None:
    offered, who, schedule = one(client, bufferBefore=5, bufferAfter=10)
    first = proposals(find(client, text(at(9)), text(at(10)), practitioner=who))[0]
    for visit in (visit_by_proposal(ctx, first["id"]), visit_of(ctx, first)):
        assert (visit.start, visit.end, names(visit)) == (at(9), at(9, 30), [schedule])
        assert visit.service is not None and offered.endswith(visit.service["id"])
        assert [(s.start, s.end, s.status) for s in visit.slots] == [
            (at(9), at(9, 30), "busy"),
            (at(8, 55), at(9), "busy-unavailable"),
            (at(9, 30), at(9, 40), "busy-unavailable"),
        ]
        assert proposed(visit)["id"] == first["id"]
        assert refused(ctx, visit) is None


def test_a_proposal_that_was_changed_is_refused(client: Client, ctx: Context) -> None:
    _, who, _ = one(client)
    first = proposals(find(client, text(at(9)), text(at(10)), practitioner=who))[0]
    with pytest.raises(Unprocessable):
        visit_of(ctx, {**first, "start": text(at(10))})


def test_a_proposal_of_what_is_gone_or_elsewhere_is_not_found(client: Client, ctx: Context, new_tenant: Any) -> None:
    _, who, schedule = one(client)
    first = proposals(find(client, text(at(9)), text(at(10)), practitioner=who))[0]
    db = session()
    with db.hold(), pytest.raises(NotFound):
        visit_by_proposal(server_context(db, world(db, new_tenant().slug)), first["id"])
    db.rollback()
    assert client.put(schedule, {**client.get(schedule).json, "active": False}).status == 200
    with pytest.raises(NotFound):
        visit_by_proposal(ctx, first["id"])


def test_what_another_system_wrote(client: Client, ctx: Context) -> None:
    offered, who, schedule = one(client, type=code("foreign"))
    patient = make(client, "Patient")
    by_service = visit_of(ctx, written(who, patient, offered))
    by_type = visit_of(ctx, written(who, patient, serviceType=code("foreign")))
    by_schedule = visit_of(ctx, written(who, patient))
    for visit in (by_service, by_type, by_schedule):
        assert names(visit) == [schedule] and visit.service is not None
        assert refused(ctx, visit) is None
    assert visit_of(ctx, written(f"{client.base}/{who}", minutes=None)).end == at(9, 30)
    unknown = visit_of(ctx, written(who, serviceType=code("no such")))
    assert unknown.service is None and refused(ctx, unknown) == "not-bookable-online"


def test_it_is_known_by_its_slots(client: Client, ctx: Context) -> None:
    offered, who, schedule = one(client)
    slot = busy(client, schedule, text(at(9)), text(at(9, 30)))
    assert names(visit_of(ctx, written("Patient/x", slot=[{"reference": slot}]))) == [schedule]


@pytest.mark.parametrize(
    "wrong",
    [
        written("Practitioner/nobody"),
        written("Patient/x"),
        {k: v for k, v in written("Practitioner/x").items() if k != "start"},
        written("Practitioner/x", minutes=-30),
    ],
)
def test_an_appointment_in_nobodys_agenda(client: Client, ctx: Context, wrong: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable) as error:
        visit_of(ctx, wrong)
    assert error.value.issues[0].expression


def test_rooms_are_those_named_or_any_that_is_free(client: Client, ctx: Context) -> None:
    rooms = [make(client, "Location", name=name) for name in ("A", "B")]
    schedules = [agenda(client, room) for room in rooms]
    offered, who = service(client, needs(*schedules)), doctor(client)
    main = agenda(client, who, rules(hours("09:00", "12:00", "mon"), of=offered))
    busy(client, schedules[0], text(at(9)), text(at(10)))
    assert names(visit_of(ctx, written(who, offered))) == [main, schedules[1]]
    assert names(visit_of(ctx, written(who, offered, rooms[0]))) == [main, schedules[0]]
    assert refused(ctx, visit_at(ctx, offered, [main], at(9))) == "resource-missing"
    assert refused(ctx, visit_at(ctx, offered, [main, schedules[0]], at(9))) is None
    chosen = proposed(visit_at(ctx, offered, [main, schedules[0]], at(9)))["participant"]
    assert [each["actor"]["reference"] for each in chosen] == [who, offered, rooms[0]]


def test_the_mode_is_one_of_the_service(client: Client, ctx: Context) -> None:
    modes = [{"coding": [{"system": "urn:salam:CodeSystem:service-mode", "code": mode}]} for mode in ("video", "phone")]
    offered, who, _ = one(client, characteristic=modes)

    def said(mode: str) -> list[dict[str, str]]:
        return [{"url": "urn:salam:StructureDefinition:service-mode", "valueCode": mode}]

    assert visit_of(ctx, written(who, offered, extension=said("phone"))).mode == "phone"
    assert visit_of(ctx, written(who, offered)).mode is None
    with pytest.raises(Unprocessable):
        visit_of(ctx, written(who, offered, extension=said("home")))
    only, other, _ = one(client, characteristic=modes[:1])
    assert visit_of(ctx, written(other, only)).mode == "video"


def test_what_is_not_booked_online(client: Client, ctx: Context) -> None:
    offered, who, schedule = one(client, reserve(1, 60), minNotice=120, maxAdvance=30, limitPerDay=1)

    def visit(start: datetime, minutes: int | None = None) -> Visit:
        return visit_at(ctx, offered, [schedule], start, minutes=minutes)

    assert refused(ctx, visit(at(9))) is None
    assert refused(ctx, visit(at(9), minutes=45)) == "wrong-duration"
    assert refused(ctx, visit(at(8, 30))) == "outside-hours"
    assert refused(ctx, visit(at(12))) == "outside-hours"
    assert refused(ctx, visit(at(9, 10))) == "not-aligned"
    assert refused(ctx, visit(at(11, 30))) == "reserved"
    assert refused(ctx, visit(at(9)), now=at(7, 1)) == "too-soon"
    assert refused(ctx, visit(at(9)), now=at(9, 1)) == "too-soon"
    assert refused(ctx, visit(at(9)), now=at(7)) is None
    assert refused(ctx, visit(at(9)), now=at(8, 59, days=-30)) == "too-far"
    private, _, own = one(client, onlineBooking=False)
    assert refused(ctx, visit_at(ctx, private, [own], at(9))) == "not-bookable-online"
    for start in (at(8, 30), at(9, 10), at(3, days=-400), at(11, 30)):
        check_bookable(ctx, visit(start, minutes=20), online=False, patient=None, now=ctx.now)


def test_limits_count_visits_but_not_the_own(client: Client, ctx: Context) -> None:
    offered, who, schedule = one(client, limitPerDay=2, limitPerWeek=3)
    visit = visit_at(ctx, offered, [schedule], at(11))
    check_limits(ctx, visit, beside_day=1)
    with pytest.raises(Unprocessable):
        check_limits(ctx, visit, beside_day=2)
    with pytest.raises(Unprocessable):
        check_limits(ctx, visit, beside_week=3)
    booked = {"status": "booked", "participant": [{"actor": {"reference": who}, "status": "accepted"}]}
    mine = [make(client, "Appointment", **booked, start=text(at(h)), end=text(at(h, 30))) for h in (9, 10)]
    assert refused(ctx, visit) == "limit-reached"
    from fhir_server.interactions.stored import find_rows

    rows = find_rows(ctx, "Appointment", [("_id", mine[0].removeprefix("Appointment/"))])
    assert refused(ctx, visit, own=next(iter(rows))) is None


def test_a_condition_that_is_not_met(client: Client, ctx: Context) -> None:
    offered, _, schedule = one(client, eligibility="gender = 'female'")
    visit = visit_at(ctx, offered, [schedule], at(9))
    assert refused(ctx, visit, patient={"resourceType": "Patient", "gender": "female"}) is None
    for patient in ({"resourceType": "Patient", "gender": "male"}, {"resourceType": "Patient"}):
        assert refused(ctx, visit, patient=patient) == "not-eligible"
        assert refused(ctx, visit, patient=patient, online=False) == "not-eligible"


def test_alternatives_are_the_next_free_times_of_the_same_practitioner_first(client: Client, ctx: Context) -> None:
    offered, who, schedule = one(client)
    other = doctor(client)
    agenda(client, other, rules(hours("09:00", "12:00", "mon"), of=offered))
    busy(client, schedule, text(at(9)), text(at(10)))
    found = alternatives(ctx, visit_at(ctx, offered, [schedule], at(9, 30)), 4)
    told = [(each["start"], each["participant"][0]["actor"]["reference"]) for each in found]
    assert told == [(text(at(9, 30)), other), (text(at(10)), who), (text(at(10)), other), (text(at(10, 30)), who)]


def test_of_several_agendas_those_of_the_participants_are_meant(client: Client, ctx: Context) -> None:
    house, branch = (make(client, "Location", name=name) for name in ("House", "Branch"))
    offered, who, other = service(client), doctor(client), doctor(client)
    parts = (hours("09:00", "12:00", "mon"), {"url": "capacity", "valuePositiveInt": 5})
    shared = [(who, house), (who, branch), (other, house)]
    schedules = [
        make(client, "Schedule", actor=[{"reference": each} for each in actors], extension=[rules(*parts, of=offered)])
        for actors in shared
    ]
    assert names(visit_of(ctx, written(who, offered, house))) == schedules[:1]
    assert names(visit_of(ctx, written(who, offered, branch))) == schedules[1:2]
    assert names(visit_of(ctx, written(other, offered))) == schedules[2:]
    both = names(visit_of(ctx, written(who, other, branch, house, offered)))
    assert both[0] in schedules and schedules[2] in both and len(both) == 2


def test_a_role_means_its_practitioner(client: Client, ctx: Context) -> None:
    offered, who = service(client), doctor(client)
    role = make(client, "PractitionerRole", practitioner={"reference": who}, healthcareService=[{"reference": offered}])
    schedule = agenda(client, role, rules(hours("09:00", "12:00", "mon")))
    for actor in (who, role):
        visit = visit_of(ctx, written(actor, offered))
        assert names(visit) == [schedule]
        assert proposed(visit)["participant"][0]["actor"]["reference"] == who
        assert refused(ctx, visit) is None


def test_online_only_those_take_part_who_offer_the_service(client: Client, ctx: Context) -> None:
    offered, who, schedule = one(client)
    _, other, second = one(client)
    assert refused(ctx, visit_of(ctx, written(other, offered))) == "not-offered"
    assert refused(ctx, visit_at(ctx, offered, [second], at(9))) == "not-offered"
    assert refused(ctx, visit_of(ctx, written(who, other, offered))) == "not-offered"
    room = agenda(client, make(client, "Location", name="Unneeded"))
    assert refused(ctx, visit_at(ctx, offered, [schedule, room], at(9))) == "not-offered"
    check_bookable(ctx, visit_of(ctx, written(who, other, offered)), online=False, patient=None, now=ctx.now)
