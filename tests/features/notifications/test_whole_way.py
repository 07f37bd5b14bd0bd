"""From a booking to the provider, through the worker: follower, reminders, outbox, the last look, delivery."""

from datetime import timedelta
from typing import Any

import pytest

from fhir_server import worker
from tests.features.notifications.clinic import Clinic, later, soon


@pytest.fixture
def clinic(new_tenant: Any) -> Clinic:
    made = Clinic(new_tenant("Africa/Casablanca"))
    made.set(country="MA", language="fr", notifications={"quiet_from": "00:00", "quiet_until": "00:00"})
    # A follower begins at the end of the feed.
    worker.attend(made.tenant.slug)
    return made


def sent(clinic: Clinic) -> list[tuple[str, str]]:
    """(kind, status) of the SMS; `sent` from when the provider has it."""
    found = clinic.client.search("Communication?medium=urn:salam:CodeSystem:message-channel|sms&_count=100")
    given = {"in-progress": "sent", "completed": "sent"}
    return sorted((each["category"][0]["coding"][0]["code"], given.get(each["status"], each["status"])) for each in found)


def attend(clinic: Clinic, wanted: list[tuple[str, str]]) -> None:
    """Let the worker do its rounds until this was sent. Other tests' open transactions can hold the feed back."""
    for _ in range(50):
        worker.attend(clinic.tenant.slug)
        if sent(clinic) == wanted:
            return
    assert sent(clinic) == wanted


def test_a_booking_its_reminders_and_its_cancellation(clinic: Clinic) -> None:
    visit = clinic.visit(soon(5), clinic.patient())
    done = [("confirmation", "sent")]
    attend(clinic, done)
    with later(soon(3, 11) - clinic.context().now):
        done.append(("reminder", "sent"))
        attend(clinic, done)
    clinic.change(visit, status="cancelled")
    done.insert(0, ("cancellation", "sent"))
    attend(clinic, done)
    with later(soon(5, 9) - clinic.context().now):
        worker.attend(clinic.tenant.slug)
        worker.attend(clinic.tenant.slug)
        assert sent(clinic) == done


def test_what_waits_for_the_morning_and_is_cancelled_in_the_night(clinic: Clinic) -> None:
    now = clinic.context().now
    wall = now + timedelta(hours=1)  # Casablanca
    quiet = {"quiet_from": f"{wall - timedelta(hours=1):%H:%M}", "quiet_until": f"{wall + timedelta(hours=2):%H:%M}"}
    clinic.set(notifications=quiet)
    visit = clinic.visit(soon(5), clinic.patient())
    attend(clinic, [("confirmation", "preparation")])
    clinic.change(visit, status="cancelled")
    attend(clinic, [("cancellation", "preparation"), ("confirmation", "preparation")])
    with later(timedelta(hours=3)):
        attend(clinic, [("cancellation", "sent"), ("confirmation", "not-done")])
