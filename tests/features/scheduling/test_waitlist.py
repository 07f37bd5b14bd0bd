"""The wait list: who is offered what becomes free, and that nobody is promised what another has."""

from collections.abc import Callable, Iterator
from datetime import datetime
from threading import Barrier, Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.core import clock
from fhir_server.features.scheduling import waitlist_offers
from fhir_server.features.scheduling.hours import minutes_of
from fhir_server.features.scheduling.waitlist_wishes import minutes_in
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import detail, extension_of, given, matched, slots_of
from tests.features.scheduling.town import doctor, hours, rules
from tests.features.scheduling.waiting_room import DAY, FullMorning, Json, patient_of
from tests.features.scheduling.worker import catch_up, elsewhere, pass_time, server, work


@pytest.fixture
def clinic(new_tenant: Callable[[], TestTenant]) -> FullMorning:
    return FullMorning(new_tenant())


@pytest.fixture(autouse=True)
def present() -> Iterator[None]:
    yield
    pass_time(0)


def test_nothing_is_offered_while_nothing_is_free(clinic: FullMorning) -> None:
    one = clinic.waiting()
    work(clinic.tenant.slug)
    assert clinic.offers(one) == []


def test_what_a_cancellation_frees_is_offered_by_priority_and_then_age(clinic: FullMorning) -> None:
    late, early = clinic.waiting(), clinic.waiting()
    urgent, low = clinic.waiting(priority=1), clinic.waiting(priority=9)
    for expected in (urgent, late, early):
        clinic.cancel([urgent, late, early].index(expected))
        work(clinic.tenant.slug)
        (offer,) = clinic.offers(expected)
        assert offer["status"] == "pending"
        assert patient_of(offer) == patient_of(expected)
        assert {slot["status"] for slot in slots_of(clinic.staff, offer)} == {"busy-tentative"}
        assert extension_of(offer, "hold-expires")
    assert clinic.offers(low) == []


def test_two_cancellations_at_once_go_to_two_people(clinic: FullMorning) -> None:
    people = [clinic.waiting() for _ in range(3)]
    clinic.cancel(0, 2)
    work(clinic.tenant.slug)
    starts = [offer["start"] for person in people for offer in clinic.offers(person)]
    assert starts == [f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"]


def test_two_workers_at_once_make_one_offer_to_each(clinic: FullMorning) -> None:
    people = [clinic.waiting() for _ in range(2)]
    clinic.cancel(0, 1, 2)
    catch_up(clinic.tenant.slug)
    begin = Barrier(4)
    failed: list[BaseException] = []

    def fill() -> None:
        ctx = server(clinic.tenant.slug)
        begin.wait(120)
        try:
            waitlist_offers.fill(ctx)
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert not failed
    assert [len(clinic.offers(person)) for person in people] == [1, 1]


def test_what_is_booked_meanwhile_is_not_offered(clinic: FullMorning, monkeypatch: pytest.MonkeyPatch) -> None:
    person = clinic.waiting()
    clinic.cancel(0, 2)
    catch_up(clinic.tenant.slug)
    original = waitlist_offers.until
    taken: list[Json] = []

    def until(ctx: Any, visit: Any) -> Any:
        if not taken:
            taken.append(elsewhere(lambda: clinic.book("09:00")))
        return original(ctx, visit)

    monkeypatch.setattr(waitlist_offers, "until", until)
    work(clinic.tenant.slug)
    assert taken[0]["status"] == "booked"
    assert [each["start"] for each in clinic.offers(person)] == [f"{DAY}T10:00:00Z"]


def test_opening_a_closed_period_and_deleting_a_slot_make_offers(clinic: FullMorning) -> None:
    person, other = clinic.waiting(), clinic.waiting()
    schedule = clinic.staff.get(clinic.schedule).json
    schedule["extension"] = [rules(hours("09:00", "11:00", "mon"), of=clinic.service)]
    assert clinic.staff.put(clinic.schedule, schedule).status == 200
    work(clinic.tenant.slug)
    assert [each["start"] for each in clinic.offers(person)] == [f"{DAY}T10:30:00Z"]
    slot = clinic.staff.create(
        {
            "resourceType": "Slot",
            "status": "busy-unavailable",
            "schedule": {"reference": clinic.schedule},
            "start": f"{DAY}T11:00:00Z",
            "end": f"{DAY}T11:30:00Z",
        }
    )
    schedule["extension"] = [rules(hours("09:00", "11:30", "mon"), of=clinic.service)]
    assert clinic.staff.put(clinic.schedule, schedule).status == 200
    work(clinic.tenant.slug)
    assert clinic.offers(other) == []
    assert clinic.staff.delete(f"Slot/{slot['id']}").status == 204
    work(clinic.tenant.slug)
    assert [each["start"] for each in clinic.offers(other)] == [f"{DAY}T11:00:00Z"]


def test_offers_fit_what_is_wished(clinic: FullMorning) -> None:
    other = doctor(clinic.staff)
    people = [
        clinic.waiting(requestedPeriod=[{"start": f"{DAY}T09:45:00Z", "end": f"{DAY}T12:00:00Z"}]),
        clinic.waiting(participant=clinic.wish(clinic.patient())["participant"]),
    ]
    wish = clinic.wish(clinic.patient())
    wish["participant"].append({"actor": {"reference": other}, "status": "accepted"})
    assert clinic.staff.post("Appointment/$join-waitlist", given(wish)).status == 422
    clinic.cancel(1)
    work(clinic.tenant.slug)
    assert [len(clinic.offers(person)) for person in people] == [0, 1]


def test_a_plain_write_waits_as_well(clinic: FullMorning) -> None:
    patient = clinic.patient()
    wish = clinic.wish(patient, requestedPeriod=[{"start": DAY}])
    answer = clinic.of(patient).post("Appointment", wish)
    assert answer.status == 201, answer.text
    clinic.cancel(2)
    work(clinic.tenant.slug)
    assert len(clinic.offers(answer.json)) == 1


def test_joining(clinic: FullMorning, new_tenant: Callable[[], TestTenant]) -> None:
    patient = clinic.patient()
    me = clinic.of(patient)
    wish = clinic.wish(patient, priority=1)
    del wish["participant"][1]
    joined = matched(me.post("Appointment/$join-waitlist", given(wish)))
    assert patient_of(joined) == patient
    assert "priority" not in joined, "urgency is not the patient's to say"
    again = me.post("Appointment/$join-waitlist", given(wish))
    assert (again.status, detail(again)) == (409, "already-waiting")
    stranger = me.post("Appointment/$join-waitlist", given(clinic.wish(clinic.patient())))
    assert stranger.status == 403
    without = clinic.wish(patient)
    del without["requestedPeriod"]
    answer = me.post("Appointment/$join-waitlist", given(without))
    assert (answer.status, answer.issues[0]["expression"]) == (422, ["Appointment.requestedPeriod"])
    offline = FullMorning(new_tenant(), onlineBooking=False)
    refused = offline.staff.post("Appointment/$join-waitlist", given(offline.wish(offline.patient())))
    assert (refused.status, detail(refused)) == (422, "not-bookable-online")


def test_staff_offers_out_of_turn(clinic: FullMorning) -> None:
    first, second = clinic.waiting(), clinic.waiting()
    nothing = clinic.staff.post(f"Appointment/{second['id']}/$waitlist-offer", None)
    assert nothing.status == 404
    clinic.cancel(1)
    offer = matched(clinic.staff.post(f"Appointment/{second['id']}/$waitlist-offer", None))
    assert offer["status"] == "pending"
    twice = clinic.staff.post(f"Appointment/{second['id']}/$waitlist-offer", None)
    assert twice.status in (404, 409)
    assert clinic.of(patient_of(first)).post(f"Appointment/{first['id']}/$waitlist-offer", None).status == 403
    work(clinic.tenant.slug)
    assert clinic.offers(first) == []


def test_a_cancelled_wish_is_offered_nothing(clinic: FullMorning) -> None:
    waiting = clinic.waiting()
    assert clinic.of(patient_of(waiting)).post(f"Appointment/{waiting['id']}/$cancel", None).status == 200
    clinic.cancel(0)
    work(clinic.tenant.slug)
    assert clinic.offers(waiting) == []


def test_the_same_patient_is_not_offered_what_overlaps_a_visit_of_his(clinic: FullMorning) -> None:
    waiting = clinic.waiting()
    start = clinic.visits[1]["start"]
    clinic.staff.create(
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": start,
            "end": start.replace("09:30", "10:00"),
            "participant": [{"actor": {"reference": patient_of(waiting)}, "status": "accepted"}],
        }
    )
    clinic.cancel(1)
    work(clinic.tenant.slug)
    assert clinic.offers(waiting) == []


def test_waiting_ends_with_the_time_that_was_wished_for(clinic: FullMorning) -> None:
    today = clock.now().date()
    short = clinic.waiting(requestedPeriod=[{"start": today.isoformat(), "end": today.isoformat()}])
    long = clinic.waiting(requestedPeriod=[{"start": DAY}])
    pass_time(24 * 60)
    work(clinic.tenant.slug)
    assert clinic.status(short) == "cancelled"
    assert clinic.status(long) == "waitlist"


def test_without_a_period_somebody_waits_for_anything(clinic: FullMorning) -> None:
    wish = clinic.wish(clinic.patient())
    del wish["requestedPeriod"]
    waiting = clinic.staff.create(wish)
    clinic.cancel(2)
    work(clinic.tenant.slug)
    assert len(clinic.offers(waiting)) == 1


def test_days_that_are_wished_for_are_the_clinic_s() -> None:
    casablanca = ZoneInfo("Africa/Casablanca")
    lo, hi = minutes_in({"start": "2026-02-15", "end": "2026-02-15"}, casablanca)
    assert hi - lo == 25 * 60, "Morocco sets its clock back on this day"
    first = minutes_in({"start": "2026-02-15T09:00:00Z", "end": "2026-02-15T10:00:00Z"}, casablanca)
    assert first[1] - first[0] == 60
    assert lo == minutes_of(datetime(2026, 2, 15, tzinfo=casablanca))
