"""From a booking to a delivered message: the real occasions, outbox, delivery and sandbox together."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.core import clock
from fhir_server.features.notifications import delivery, occasions
from fhir_server.features.notifications.draft import Draft
from tests.conftest import TestTenant
from tests.features.notifications.clinic import Clinic, soon
from tests.features.notifications.test_callbacks import post

SETTINGS = {"quiet_from": "00:00", "quiet_until": "00:00"}


@pytest.fixture
def clinic(new_tenant: Any) -> Iterator[Clinic]:
    tenant: TestTenant = new_tenant("Africa/Casablanca")
    made = Clinic(tenant)
    made.set(country="MA", language="fr", notifications=SETTINGS)
    yield made
    clock.move(timedelta())


def patient(clinic: Clinic, phone: str) -> str:
    return clinic.patient(telecom=[{"system": "phone", "use": "mobile", "value": phone}])


def deliver(clinic: Clinic) -> None:
    """Send, and let the provider tell what became of it."""
    for _ in range(5):
        delivery.tend(clinic.context())
        clock.move(clock._ahead + timedelta(seconds=30))


def told(clinic: Clinic, **wanted: str) -> list[tuple[str, str, str]]:
    """(kind, channel, status) of every message but in-app ones."""
    found = [
        (each["category"][0]["coding"][0]["code"], each["medium"][0]["coding"][0]["code"], each["status"])
        for each in clinic.client.search("Communication?_count=500")
    ]
    return sorted(each for each in found if each[1] != "in-app")


def test_a_booking_is_confirmed_by_sms(clinic: Clinic) -> None:
    clinic.visit(soon(3), patient(clinic, "0612345678"))
    clinic.follow()
    deliver(clinic)
    assert told(clinic) == [("confirmation", "sms", "completed")]


def test_a_visit_that_is_cancelled_before_its_confirmation_went_out_is_not_confirmed(clinic: Clinic) -> None:
    visit = clinic.visit(soon(3), patient(clinic, "0612345678"))
    clinic.follow()
    clinic.change(visit, status="cancelled")
    clinic.follow()
    deliver(clinic)
    assert ("confirmation", "sms", "not-done") in told(clinic)
    assert ("confirmation", "sms", "completed") not in told(clinic)


# scheduling-queue.md 14, row 11
def test_a_cancel_in_the_sending_second_wins(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is taken and locked; then the visit is cancelled; then the last look is taken."""
    visit = clinic.visit(soon(3), patient(clinic, "0612345678"))
    clinic.follow()
    look = occasions.still_wanted

    def cancelled_meanwhile(ctx: Any, draft: Draft) -> Draft | None:
        import threading

        other = threading.Thread(target=lambda: clinic.change(visit, status="cancelled"))
        other.start()
        other.join()
        monkeypatch.setattr(occasions, "still_wanted", look)
        return look(ctx, draft)

    monkeypatch.setattr(occasions, "still_wanted", cancelled_meanwhile)
    delivery.tend(clinic.context())
    assert told(clinic) == [("confirmation", "sms", "not-done")]


def test_a_stop_by_sms_ends_what_waits(clinic: Clinic) -> None:
    who = patient(clinic, "0612345678")
    clinic.visit(soon(3), who)
    clinic.follow()
    assert post(clinic.tenant.slug, "inbound", {"From": "+212612345678", "Body": "توقف"})[0] == 200
    deliver(clinic)
    assert told(clinic) == [("confirmation", "sms", "not-done")]
    clinic.visit(soon(5), who)
    clinic.follow()
    deliver(clinic)
    assert len(told(clinic)) == 1, "nothing new is made for a number that said STOP"


def test_whatsapp_outside_its_hours_becomes_an_sms(clinic: Clinic) -> None:
    clinic.set(notifications={**SETTINGS, "order": ["whatsapp", "sms"], "whatsapp_templates": {"confirmation.fr": "HX1"}})
    clinic.visit(soon(3), patient(clinic, "+212605550010"))
    clinic.follow()
    deliver(clinic)
    assert told(clinic) == [("confirmation", "sms", "completed"), ("confirmation", "whatsapp", "not-done")]


def test_when_the_money_is_gone_an_email_goes_out(clinic: Clinic) -> None:
    clinic.set(notifications={**SETTINGS, "monthly_budget": "0", "costs": {"sms": "0.05", "whatsapp": "0.05"}})
    who = clinic.patient(telecom=[
        {"system": "phone", "use": "mobile", "value": "0612345678"}, {"system": "email", "value": "f@example.org"},
    ])  # fmt: skip
    clinic.visit(soon(3), who)
    clinic.follow()
    deliver(clinic)
    statuses = {(channel, status) for _, channel, status in told(clinic)}
    assert ("email", "completed") in statuses and ("sms", "completed") not in statuses


def test_a_wrong_number_and_no_other_way_is_said(clinic: Clinic) -> None:
    clinic.visit(soon(3), patient(clinic, "+212605550001"))
    clinic.follow()
    deliver(clinic)
    assert told(clinic) == [("confirmation", "sms", "not-done")]


def test_a_reminder_is_delivered_once_however_often_everything_is_followed(clinic: Clinic) -> None:
    start = soon(3)
    clinic.visit(start, patient(clinic, "0612345678"))
    clinic.follow()
    deliver(clinic)
    clock.move(start - timedelta(hours=40) - datetime.now(UTC))
    for _ in range(3):
        clinic.tend()
        clinic.follow(again=True)
        deliver(clinic)
    assert told(clinic).count(("reminder", "sms", "completed")) == 1
    assert told(clinic).count(("confirmation", "sms", "completed")) == 1
