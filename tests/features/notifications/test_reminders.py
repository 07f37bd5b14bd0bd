"""Reminders: planned, replanned, revoked, and handed over once."""

from datetime import timedelta
from typing import Any

import pytest

from fhir_server.features.notifications import occasions
from tests.conftest import TestTenant
from tests.features.notifications.clinic import Clinic, E, later, soon, text


@pytest.fixture
def clinic(new_tenant: Any) -> Clinic:
    tenant: TestTenant = new_tenant("Africa/Casablanca")
    made = Clinic(tenant)
    made.set(country="MA", language="fr", notifications={"quiet_from": "00:00", "quiet_until": "00:00"})
    return made


def times(clinic: Clinic, status: str = "active") -> list[str]:
    return [str(request["occurrenceDateTime"]) for request in clinic.planned(status)]


def test_they_are_planned_two_days_and_two_hours_before(clinic: Clinic) -> None:
    visit = clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    assert times(clinic) == [text(soon(3)), text(soon(5, 8))]
    (first, _) = clinic.planned()
    assert first["about"] == [{"reference": f"Appointment/{visit['id']}"}]
    assert first["reasonCode"][0]["coding"][0]["code"] == "reminder"


def test_what_is_booked_late_gets_only_those_that_are_still_to_come(clinic: Clinic) -> None:
    clinic.visit(clinic.context().now + timedelta(hours=20), clinic.patient())
    clinic.visit(clinic.context().now + timedelta(hours=1), clinic.patient())
    clinic.follow()
    assert len(clinic.planned()) == 1


def test_a_move_replans_and_a_cancellation_revokes(clinic: Clinic) -> None:
    visit = clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    visit = clinic.move(visit, soon(6))
    clinic.follow()
    assert times(clinic) == [text(soon(4)), text(soon(6, 8))]
    assert times(clinic, "revoked") == [text(soon(3)), text(soon(5, 8))]
    visit = clinic.move(visit, soon(5))
    clinic.follow()
    clinic.follow(again=True)
    assert times(clinic) == [text(soon(3)), text(soon(5, 8))]
    clinic.change(visit, status="cancelled")
    clinic.follow()
    assert times(clinic) == []


def test_deleting_the_appointment_revokes(clinic: Clinic) -> None:
    visit = clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    assert clinic.client.delete(f"Appointment/{visit['id']}").status in (200, 204)
    clinic.follow()
    assert times(clinic) == []


def test_each_is_handed_over_once(clinic: Clinic) -> None:
    who = clinic.patient()
    start = soon(5)
    clinic.visit(start, who)
    clinic.follow()
    clinic.tend()
    assert clinic.drafts(kind="reminder") == []
    with later(soon(3, 11) - clinic.context().now):
        clinic.tend()
        clinic.tend()
        clinic.follow(again=True)
        clinic.tend()
        (draft,) = clinic.drafts(kind="reminder")
        assert draft.based_on == f"CommunicationRequest/{clinic.planned('completed')[0]['id']}"
        assert draft.expires_at == start
        assert len(clinic.planned()) == 1
    with later(soon(5, 9) - clinic.context().now):
        clinic.tend()
        assert len(clinic.drafts(kind="reminder")) == 2
        assert clinic.planned() == []


def test_nothing_is_said_of_what_was_cancelled_before_anybody_looked(clinic: Clinic) -> None:
    visit = clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    clinic.change(visit, status="cancelled")
    with later(soon(3, 11) - clinic.context().now):
        clinic.tend()
        assert clinic.drafts(kind="reminder") == []
        assert len(clinic.planned("revoked")) == 1


def test_a_cancellation_between_handing_over_and_sending(clinic: Clinic) -> None:
    visit = clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    with later(soon(3, 11) - clinic.context().now):
        clinic.tend()
        (draft,) = clinic.drafts(kind="reminder")
        ctx = clinic.context()
        assert occasions.still_wanted(ctx, draft) is not None
        ctx.db.rollback()
        clinic.change(visit, status="cancelled")
        ctx = clinic.context()
        assert occasions.still_wanted(ctx, draft) is None
        ctx.db.rollback()


def test_after_a_standstill_only_the_latest_is_said(clinic: Clinic) -> None:
    clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    with later(soon(5, 9) - clinic.context().now):
        clinic.tend()
        (draft,) = clinic.drafts(kind="reminder")
        assert draft.facts["span"] == "120"
        assert [len(clinic.planned(status)) for status in ("active", "completed", "revoked")] == [0, 1, 1]


def test_once_it_was_said_a_move_there_and_back_does_not_say_it_again(clinic: Clinic) -> None:
    visit = clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    with later(soon(3, 11) - clinic.context().now):
        clinic.tend()
        clinic.follow()
        visit = clinic.move(visit, soon(9))
        clinic.follow()
        clinic.move(visit, soon(9, 12))
        clinic.follow()
        clinic.tend()
        assert len(clinic.drafts(kind="reminder")) == 1


def test_the_tenants_times(clinic: Clinic) -> None:
    clinic.set(notifications={"reminders": ["P1D"]})
    clinic.visit(soon(5), clinic.patient())
    clinic.follow()
    assert times(clinic) == [text(soon(4))]
    clinic.client.create({
        "resourceType": "ActivityDefinition", "status": "active", "kind": "CommunicationRequest",
        "code": {"coding": [{"system": "urn:salam:CodeSystem:message-kind", "code": "reminder"}]},
        "extension": [{"url": f"{E}send-before", "valueDuration": {"value": 3, "unit": "h", "system": "http://unitsofmeasure.org", "code": "h"}}],
    })  # fmt: skip
    clinic.visit(soon(6), clinic.patient())
    clinic.follow()
    assert times(clinic) == [text(soon(4)), text(soon(6, 7))]


def test_no_reminder_without_people(clinic: Clinic) -> None:
    place = clinic.client.create({"resourceType": "Location"})
    clinic.visit(soon(5), f"Location/{place['id']}")
    clinic.follow()
    assert clinic.planned() == [] and clinic.told() == []
