"""Communication/$message-budget: what of this month's budget for messages is used."""

from decimal import Decimal
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.features.notifications import budget
from fhir_server.interactions import acting
from fhir_server.operations.call import OperationCall, Table, Wired


def message_budget(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with the month, what was used and is left, and each channel's messages, parts and cost. For staff."""
    acting.check_staff(ctx, "Communication", "see what messages cost")
    try:
        found = budget.state(ctx.db, ctx.tenant, ctx.now)
    except budget.WrongPlan as error:
        raise Unprocessable(str(error)) from None
    shown: list[dict[str, Any]] = [{"name": "month", "valueDate": found["month"]}]
    for name in ("budget", "used", "left"):
        if found[name] is not None:
            shown.append({"name": name, "valueMoney": _money(found[name], found["currency"])})
    for row in found["channels"]:
        shown.append({"name": "channel", "part": [
            {"name": "channel", "valueCode": row["channel"]},
            {"name": "messages", "valueUnsignedInt": row["messages"]},
            {"name": "parts", "valueUnsignedInt": row["parts"]},
            {"name": "cost", "valueMoney": _money(row["cost"], found["currency"])},
        ]})  # fmt: skip
    return {"resourceType": "Parameters", "parameter": shown}


def _money(value: str, currency: str) -> dict[str, Any]:
    return {"value": Decimal(value), **({"currency": currency} if currency else {})}


OPERATIONS: Table = {("Communication", "message-budget"): Wired(message_budget)}
