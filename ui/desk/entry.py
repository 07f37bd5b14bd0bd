"""The room's blueprint, who may enter, and what a role may do here."""

from ui.page import may_do
from ui.room import room

bp = room("desk", roles=("receptionist", "nurse", "manager", "owner", "practitioner", "billing"))


def may_act() -> bool:
    """Whether the person may move tickets and book: others look only. The server decides about each action."""
    return may_do("Task", "u")


def may_take_money() -> bool:
    """Whether the person may issue invoices and note payments."""
    return may_do("Invoice", "u") and may_do("PaymentReconciliation", "c")


def may_see_money() -> bool:
    """Whether the person may see invoices."""
    return may_do("Invoice", "s")


def may_register() -> bool:
    """Whether the person may register patients."""
    return may_do("Patient", "c")
