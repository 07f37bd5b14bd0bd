"""What messages may cost: a sum for each month, which is never overspent, however many are sent at once.

`tenant.settings["notifications"]`: `monthly_budget` ("500.00"; absent: no limit), `currency` ("MAD") and `costs` (by
channel, for one part: {"sms": "0.05"}). A part is what an operator bills: 160 letters of the GSM alphabet, or 70 of any
other. What a provider did not take costs nothing; what is unclear is counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.core.context import Tenant
from fhir_server.features.notifications import text_parts
from fhir_server.features.notifications.draft import Draft
from fhir_server.storage import message_budgets
from fhir_server.storage.session import Session

SETTINGS = "notifications"
# Channels that somebody bills. The others are free, and no budget stops them.
BILLED = ("sms", "whatsapp")


class WrongPlan(ValueError):
    """The tenant's settings of costs or budget cannot be understood. The text names the setting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A tenant's prices. `limit`: None where there is none."""

    limit: Decimal | None
    currency: str
    costs: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Price:
    """What a message takes. `cost`: None where a budget stands and the channel's price is not known."""

    parts: int
    cost: Decimal | None


def plan(tenant: Tenant) -> Plan:
    """The tenant's prices and limit. Raises `WrongPlan`."""
    chosen: Mapping[str, Any] = tenant.settings.get(SETTINGS, {})
    costs = {
        channel: _amount(f"{SETTINGS}.costs.{channel}", value) for channel, value in chosen.get("costs", {}).items()
    }
    limit = chosen.get("monthly_budget")
    return Plan(
        None if limit is None else _amount(f"{SETTINGS}.monthly_budget", limit), str(chosen.get("currency", "")), costs
    )


def price(own: Plan, draft: Draft) -> Price:
    """What sending a draft through its channel takes."""
    return price_of(own, draft.channel, draft.text)


def price_of(own: Plan, channel: str, text: str) -> Price:
    """What a text takes through a channel."""
    parts = text_parts.measure(text).parts if channel == "sms" else 1
    if channel not in BILLED:
        return Price(parts, Decimal(0))
    each = own.costs.get(channel)
    if each is None:
        return Price(parts, None if own.limit is not None else Decimal(0))
    return Price(parts, each * parts)


def reserve(db: Session, tenant: Tenant, own: Plan, channel: str, cost: Price, now: datetime) -> str:
    """Count a message within the open transaction: the month that pays it (its first day), or "" when the budget does
    not reach or the price is not known."""
    if cost.cost is None:
        return ""
    first = month(tenant, now)
    limit = own.limit if cost.cost else None
    reserved = message_budgets.reserve(db, tenant.id, first, channel, cost.parts, cost.cost, limit)
    return first if reserved else ""


def month(tenant: Tenant, now: datetime) -> str:
    """The first day of the tenant's month."""
    return f"{now.astimezone(ZoneInfo(tenant.zone)):%Y-%m}-01"


def state(db: Session, tenant: Tenant, now: datetime) -> dict[str, Any]:
    """What of this month's budget is used: amounts as text, by channel. Commits nothing."""
    own, first = plan(tenant), month(tenant, now)
    spent = message_budgets.spent(db, tenant.id, first)
    used = next((each.cost for each in spent if each.channel == message_budgets.TOTAL), Decimal(0))
    return {
        "month": first[:7],
        "currency": own.currency,
        "budget": None if own.limit is None else str(own.limit),
        "used": str(used),
        "left": None if own.limit is None else str(max(own.limit - used, Decimal(0))),
        "channels": [
            {"channel": each.channel, "messages": each.messages, "parts": each.parts, "cost": str(each.cost)}
            for each in spent
            if each.channel != message_budgets.TOTAL
        ],
    }


def _amount(name: str, value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise WrongPlan(f"{name} must be an amount such as 0.05.")
    return amount
