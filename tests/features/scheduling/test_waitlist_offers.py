"""How offers from the wait list end: accepted, refused, over, or booked some other way."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Barrier, Thread

import pytest

from fhir_server.core import clock
from fhir_server.core.dates import moment
from fhir_server.features.scheduling import waitlist_offers
from tests.conftest import TestTenant
from tests.features.scheduling.clinic_day import detail, extension_of, matched, named, slots_of
from tests.features.scheduling.waiting_room import DAY, FullMorning, patient_of
from tests.features.scheduling.worker import catch_up, pass_time, work


@pytest.fixture
def clinic(new_tenant: Callable[[], TestTenant]) -> FullMorning:
    return FullMorning(new_tenant())


@pytest.fixture(autouse=True)
def present() -> Iterator[None]:
    yield
    pass_time(0)


def test_accepting_books_and_ends_the_waiting(clinic: FullMorning) -> None:
    waiting = clinic.waiting()
    clinic.cancel(1)
    work(clinic.tenant.slug)
    (offer,) = clinic.offers(waiting)
    booked = matched(clinic.of(patient_of(waiting)).post(f"Appointment/{offer['id']}/$accept", None))
    assert (booked["id"], booked["status"], booked["start"]) == (offer["id"], "booked", f"{DAY}T09:30:00Z")
    assert extension_of(booked, "hold-expires") is None
    assert {slot["status"] for slot in slots_of(clinic.staff, booked)} == {"busy"}
    ended = clinic.staff.get(f"Appointment/{waiting['id']}").json
    assert ended["status"] == "cancelled"
    assert ended["cancelationReason"]["coding"][0]["code"] == "booked-from-wait-list"
    again = clinic.of(patient_of(waiting)).post(f"Appointment/{offer['id']}/$accept", None)
    assert (again.status, detail(again)) == (409, "wrong-state")
    pass_time(31)
    work(clinic.tenant.slug)
    assert clinic.status(offer) == "booked"


def test_an_offer_that_is_booked_or_confirmed_otherwise_ends_the_waiting_too(clinic: FullMorning) -> None:
    one, two = clinic.waiting(), clinic.waiting()
    clinic.cancel(0, 1)
    work(clinic.tenant.slug)
    (first,), (second,) = clinic.offers(one), clinic.offers(two)
    assert clinic.of(patient_of(one)).post("Appointment/$book", named(first["id"])).status == 200
    assert clinic.staff.post(f"Appointment/{second['id']}/$confirm", None).status == 200
    catch_up(clinic.tenant.slug)
    assert clinic.status(one) == clinic.status(two) == "cancelled"


def test_nobody_accepts_for_another(clinic: FullMorning) -> None:
    waiting = clinic.waiting()
    clinic.cancel(1)
    work(clinic.tenant.slug)
    (offer,) = clinic.offers(waiting)
    stranger = clinic.of(clinic.patient())
    for operation in ("$accept", "$refuse"):
        assert stranger.post(f"Appointment/{offer['id']}/{operation}", None).status == 404
        assert clinic.staff.post(f"Appointment/{clinic.visits[0]['id']}/{operation}", None).status == 409
    assert clinic.status(offer) == "pending"


def test_an_offer_passes_on_when_its_time_is_over_along_three_candidates(clinic: FullMorning) -> None:
    people = [clinic.waiting() for _ in range(3)]
    clinic.cancel(1)
    for number, person in enumerate(people):
        pass_time(31 * number)
        work(clinic.tenant.slug)
        (offer,) = clinic.offers(person)
        assert offer["status"] == "pending"
        assert all(clinic.offers(other, "pending") == [] for other in people if other is not person)
    pass_time(31 * 3)
    work(clinic.tenant.slug)
    # Each was offered this time; nobody is offered it again, and its Slot is gone.
    ended = [offer for person in people for offer in clinic.offers(person)]
    assert [offer["status"] for offer in ended] == ["cancelled"] * 3
    assert {offer["cancelationReason"]["coding"][0]["code"] for offer in ended} == {"offer-expired"}
    free = clinic.staff.search(f"Slot?schedule={clinic.schedule}")
    assert sorted(slot["start"] for slot in free) == [f"{DAY}T09:00:00Z", f"{DAY}T10:00:00Z"]
    late = clinic.of(patient_of(people[0])).post(f"Appointment/{ended[0]['id']}/$accept", None)
    assert (late.status, detail(late)) == (409, "wrong-state")


def test_an_offer_that_is_over_is_not_accepted_before_the_worker_comes(clinic: FullMorning) -> None:
    waiting = clinic.waiting()
    clinic.cancel(1)
    work(clinic.tenant.slug)
    (offer,) = clinic.offers(waiting)
    pass_time(31)
    late = clinic.of(patient_of(waiting)).post(f"Appointment/{offer['id']}/$accept", None)
    assert (late.status, detail(late)) == (409, "hold-expired")


def test_who_refuses_waits_on_and_is_offered_other_times(clinic: FullMorning) -> None:
    first, second = clinic.waiting(), clinic.waiting()
    clinic.cancel(1)
    work(clinic.tenant.slug)
    (offer,) = clinic.offers(first)
    refused = matched(clinic.of(patient_of(first)).post(f"Appointment/{offer['id']}/$refuse", None))
    assert refused["status"] == "cancelled"
    work(clinic.tenant.slug)
    assert len(clinic.offers(second, "pending")) == 1
    assert clinic.status(first) == "waitlist"
    clinic.cancel(0)
    work(clinic.tenant.slug)
    assert [each["start"] for each in clinic.offers(first)] == [f"{DAY}T09:30:00Z", f"{DAY}T09:00:00Z"]


def test_who_lets_three_offers_pass_is_not_offered_a_fourth(clinic: FullMorning) -> None:
    person = clinic.waiting()
    clinic.cancel(0, 1, 2)
    for number in range(5):
        pass_time(31 * number)
        work(clinic.tenant.slug)
    assert len(clinic.offers(person)) == waitlist_offers.UNANSWERED


def test_an_offer_ends_before_the_notice_that_the_service_asks_for(new_tenant: Callable[[], TestTenant]) -> None:
    clinic = FullMorning(new_tenant(), minNotice=60)
    person = clinic.waiting()
    clinic.cancel(1)
    start = moment(f"{DAY}T09:30:00Z")
    pass_time(int((start - clock.now()).total_seconds() // 60) - 75)
    work(clinic.tenant.slug)
    (offer,) = clinic.offers(person)
    expires = extension_of(offer, "hold-expires")
    assert expires
    assert moment(expires["valueInstant"]) == start - timedelta(minutes=60)


def test_accepting_twice_at_once_books_once(clinic: FullMorning) -> None:
    waiting = clinic.waiting()
    clinic.cancel(1)
    work(clinic.tenant.slug)
    (offer,) = clinic.offers(waiting)
    me = clinic.of(patient_of(waiting))
    begin, found = Barrier(6), []

    def answer(operation: str) -> None:
        begin.wait(120)
        found.append((operation, me.post(f"Appointment/{offer['id']}/{operation}", None).status))

    threads = [Thread(target=answer, args=(each,)) for each in ["$accept", "$refuse"] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert sorted(status for _, status in found) == [200, 409, 409, 409, 409, 409], found
    accepted = ("$accept", 200) in found
    assert clinic.status(offer) == ("booked" if accepted else "cancelled")
    assert clinic.status(waiting) == ("cancelled" if accepted else "waitlist")
