"""What people with a ticket of a queue are told, from the operations of the queue."""

from datetime import timedelta
from typing import Any

import pytest

from fhir_server.features.notifications import delays, occasions
from tests.conftest import TestTenant
from tests.features.notifications.clinic import Clinic, later
from tests.features.queue.counter import Counter


@pytest.fixture
def clinic(new_tenant: Any) -> Clinic:
    tenant: TestTenant = new_tenant("Africa/Casablanca")
    made = Clinic(tenant)
    # Quiet all day: who has a ticket is there, and is told.
    made.set(country="MA", language="fr", notifications={"quiet_from": "00:00", "quiet_until": "23:59"})
    return made


@pytest.fixture
def counter(clinic: Clinic) -> Counter:
    return Counter(clinic.client, clinic.tenant.id)


def kinds_of(clinic: Clinic, who: str) -> list[str]:
    return [draft.kind for draft in clinic.drafts(recipient=who)]


def test_taken_called_recalled_and_absent(clinic: Clinic, counter: Counter) -> None:
    who = clinic.patient()
    ticket = counter.take(patient=who)
    clinic.follow()
    (taken,) = clinic.drafts()
    assert (taken.kind, taken.not_before <= clinic.context().now) == ("ticket-taken", True)
    assert "A-001" in taken.text and "avant vous" not in taken.text
    counter.call(desk="4")
    clinic.follow()
    clinic.follow(again=True)
    (called,) = clinic.drafts(kind="ticket-called")
    assert called.text.endswith("numéro A-001, c'est votre tour. Guichet 4.")
    counter.do(ticket, "recall")
    clinic.follow()
    clinic.follow(again=True)
    assert len(clinic.drafts(kind="ticket-called")) == 2, "a recall is another call"
    counter.do(ticket, "absent")
    counter.do(ticket, "no-show")
    clinic.follow()
    assert kinds_of(clinic, who) == ["ticket-taken", "ticket-called", "ticket-called", "ticket-no-show"]
    ctx = clinic.context()
    assert [occasions.still_wanted(ctx, draft) is not None for draft in clinic.drafts()] == [False, False, False, True]
    ctx.db.rollback()


def test_who_comes_soon_is_told_once(clinic: Clinic, counter: Counter) -> None:
    people = [clinic.patient() for _ in range(6)]
    for who in people:
        counter.take(patient=who)
    clinic.follow()
    texts = [draft.text for draft in clinic.drafts(kind="ticket-taken")]
    assert [("avant vous : 5" in text) for text in texts] == [False] * 5 + [True]
    counter.call(desk="1")
    clinic.follow()
    assert [d.recipient for d in clinic.drafts(kind="ticket-soon")] == people[1:4]
    counter.call(desk="2")
    clinic.follow()
    clinic.follow(again=True)
    assert [d.recipient for d in clinic.drafts(kind="ticket-soon")] == people[1:5]


def test_nobody_is_called_who_is_served_already(clinic: Clinic, counter: Counter) -> None:
    who = clinic.patient()
    ticket = counter.take(patient=who)
    counter.call(desk="1")
    counter.do(ticket, "start")
    clinic.follow()
    assert kinds_of(clinic, who) == []


def test_tickets_without_a_name_are_told_to_nobody(clinic: Clinic, counter: Counter) -> None:
    counter.take()
    counter.take(patient=clinic.patient())
    counter.call(desk="1")
    clinic.follow()
    assert [draft.kind for draft in clinic.drafts()] == ["ticket-taken", "ticket-soon"]


def test_other_tasks_are_none(clinic: Clinic) -> None:
    clinic.client.create({"resourceType": "Task", "status": "requested", "intent": "order", "for": {"reference": clinic.patient()}})
    clinic.follow()
    assert clinic.told() == []


def test_who_waits_longer_than_was_said_is_told_once(clinic: Clinic, counter: Counter) -> None:
    first, second = clinic.patient(), clinic.patient()
    counter.take(patient=first)
    ticket = counter.take(patient=second)
    counter.take()
    (estimate,) = [each for each in ticket["extension"] if each["url"].endswith("wait-estimate")]
    high = next(part["valueUnsignedInt"] for part in estimate["extension"] if part["url"] == "high")
    counter.call(desk="1")
    clinic.follow()
    with later(timedelta(minutes=high + 9)):
        delays.tell(clinic.context())
        assert clinic.drafts(kind="ticket-delayed") == []
    with later(timedelta(minutes=high + 11)):
        delays.tell(clinic.context())
        delays.tell(clinic.context())
        (draft,) = clinic.drafts(kind="ticket-delayed")
        assert draft.recipient == second and "plus longue que prévu. Veuillez" in draft.text
        ctx = clinic.context()
        assert occasions.still_wanted(ctx, draft) is not None
        ctx.db.rollback()
    with later(timedelta(hours=13)):
        delays.tell(clinic.context())
    assert len(clinic.drafts(kind="ticket-delayed")) == 1
