"""A month's budget is never overspent and never negative, however many spend it at once."""

import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fhir_server.core import clock
from fhir_server.core.context import Tenant
from fhir_server.features.notifications import budget
from fhir_server.features.notifications.budget import Plan, Price, WrongPlan
from fhir_server.features.notifications.provider import Accepted, Later, Outgoing
from tests.features.notifications.sending import Clinic, Scripted, use

PLAN = {"monthly_budget": "1.00", "currency": "MAD", "costs": {"sms": "0.05", "whatsapp": "0.30"}}
ARABIC = "موعدك غدا " * 9  # 90 letters: two parts of UCS-2


def used(clinic: Clinic) -> Decimal:
    ctx = clinic.context()
    state = budget.state(ctx.db, ctx.tenant, clock.now())
    ctx.db.commit()
    return Decimal(state["used"])


def test_fifty_at_once_spend_no_more_than_there_is(clinic: Clinic) -> None:
    clinic.settings = PLAN
    start, got = threading.Barrier(50), []

    def spend() -> None:
        ctx = clinic.context()
        own = budget.plan(ctx.tenant)
        start.wait()
        with ctx.db.hold():
            month = budget.reserve(ctx.db, ctx.tenant, own, "sms", Price(1, Decimal("0.05")), clock.now())
        ctx.db.commit()
        ctx.db.close()
        got.append(bool(month))

    threads = [threading.Thread(target=spend) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (got.count(True), got.count(False), used(clinic)) == (20, 30, Decimal("1.00"))


def test_what_the_budget_does_not_pay_goes_another_way(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Scripted()
    use(provider, monkeypatch)
    clinic.settings = {**PLAN, "monthly_budget": "0.12"}
    clinic.others = {"email": clinic.draft("", "email", "a@example.org", subject="Rappel")}
    for number in range(4):
        clinic.enqueue(clinic.draft(f"o{number}"))
    clinic.tend()
    channels = [outgoing.draft.channel for outgoing in provider.sent]
    assert (channels.count("sms"), channels.count("email")) == (2, 2)
    stopped = [row for row in clinic.messages().values() if row.error == "budget"]
    assert len(stopped) == 2 and {row.state for row in stopped} == {"stopped"}
    told = clinic.communication(f"{stopped[0].occasion}/sms")
    assert told["status"] == "not-done" and "budget" in told["statusReason"]["text"]
    assert used(clinic) == Decimal("0.10")


def test_parts_are_counted_not_messages(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Scripted(), monkeypatch)
    clinic.settings = PLAN
    clinic.enqueue(clinic.draft("o1", text=ARABIC))
    clinic.enqueue(clinic.draft("o2", text="x" * 160))
    clinic.tend()
    rows = clinic.messages()
    assert (rows["o1/sms"].parts, rows["o2/sms"].parts, used(clinic)) == (2, 1, Decimal("0.15"))


def test_free_channels_go_on_when_the_money_is_gone(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Scripted(), monkeypatch)
    clinic.settings = {**PLAN, "monthly_budget": "0"}
    clinic.enqueue(clinic.draft("o1"))
    clinic.enqueue(clinic.draft("o2", "email", "a@example.org", subject="Rappel"))
    clinic.tend()
    rows = clinic.messages()
    assert (rows["o1/sms"].state, rows["o2/email"].state) == ("stopped", "sent")


def test_a_channel_without_a_price_is_not_used_under_a_budget(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Scripted(), monkeypatch)
    clinic.settings = {"monthly_budget": "5"}
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert clinic.messages()["o1/sms"].error == "price"


def test_each_attempt_is_paid_once(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Scripted([Later("429"), Later("429")]), monkeypatch)
    clinic.settings = PLAN
    clinic.enqueue(clinic.draft("o1"))
    for _ in range(4):
        clinic.tend(minutes=5)
    assert clinic.messages()["o1/sms"].attempts == 3 and used(clinic) == Decimal("0.05")


def test_many_that_send_at_once_overspend_nothing(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of them is refused for the moment and gives its money back meanwhile."""
    provider = Scripted()
    answer = provider.send

    def send(ctx: object, outgoing: Outgoing) -> object:
        answer(ctx, outgoing)  # type: ignore[arg-type]
        return Later("429") if outgoing.message_id % 3 == 0 else Accepted(f"SID{outgoing.message_id}")

    provider.send = send  # type: ignore[method-assign,assignment]
    use(provider, monkeypatch)
    clinic.settings = {**PLAN, "monthly_budget": "0.50"}
    for number in range(40):
        clinic.enqueue(clinic.draft(f"o{number}"))
    threads = [threading.Thread(target=clinic.tend) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = list(clinic.messages().values())
    sent = [row for row in rows if row.state == "sent"]
    assert used(clinic) == len(sent) * Decimal("0.05") <= Decimal("0.50")


@pytest.mark.parametrize("wrong", [{"monthly_budget": "much"}, {"monthly_budget": "-1"}, {"costs": {"sms": "NaN"}}])
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(WrongPlan, match=r"notifications\.(monthly_budget|costs\.sms)"):
        budget.plan(Tenant(1, "t", "t", settings={"notifications": wrong}))


def test_the_month_is_that_of_the_clinic() -> None:
    tenant = Tenant(1, "t", "t", zone="Pacific/Auckland")
    assert budget.month(tenant, datetime(2026, 1, 31, 20, tzinfo=UTC)) == "2026-02-01"


def test_a_price_is_exact() -> None:
    own = Plan(None, "MAD", {"sms": Decimal("0.05")})
    assert budget.price_of(own, "sms", "x" * 161) == Price(2, Decimal("0.10"))
