"""Amounts of money at the desk: as typed, in the digits of their currency."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from babel.numbers import get_currency_precision, get_territory_currencies

from ui.page import tenant
from ui.patient_search import region

_EASTERN = str.maketrans("٠١٢٣٤٥٦٧٨٩٫٬", "0123456789.,")
_AMOUNT = re.compile(r"([0-9]{1,9})(?:[.,]([0-9]{1,3}))?\Z")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:([.,])[0-9]{3})+(?:[.,][0-9]{1,2})?\Z")


def parse(text: str, currency: str) -> Decimal | None:
    """An amount as typed (`250`, `250,50`, `1 250,00`, Arabic digits); None for what is none, or has more digits than
    the currency. A sign is refused: nothing is given back here by a negative price."""
    plain = re.sub(r"[\s\u00a0\u202f]", "", text.translate(_EASTERN))
    if grouped := _GROUPED.match(plain):
        sign = grouped[1]
        # One group of three after one sign may be thousandths; only where the currency has those.
        if plain.count(sign) > 1 or places(currency) < 3 or plain.count(",") and plain.count("."):
            plain = plain.replace(sign, "")
    found = _AMOUNT.match(plain)
    if found is None or len(found[2] or "") > places(currency):
        return None
    return Decimal(f"{found[1]}.{found[2] or 0}").quantize(unit(currency))


def places(currency: str) -> int:
    """How many digits a currency has after the point: MAD 2, XOF 0, TND 3."""
    return int(get_currency_precision(currency))


def unit(currency: str) -> Decimal:
    """The smallest amount of a currency."""
    return Decimal(1).scaleb(-places(currency))


def amount(value: Decimal, currency: str) -> dict[str, Any]:
    """A Money."""
    return {"value": value.quantize(unit(currency)), "currency": currency}


def value(money: Mapping[str, Any] | None) -> Decimal:
    """The value of a Money; 0 for none."""
    return Decimal(str((money or {}).get("value", 0)))


def typed(number: Decimal, currency: str) -> str:
    """An amount as it stands in a field: `250.00`."""
    return f"{number.quantize(unit(currency)):f}"


def usual_currency() -> str:
    """The clinic's currency: its setting, else that of its country."""
    chosen = str((tenant().settings.get("notifications") or {}).get("currency", ""))
    return chosen or next(iter(get_territory_currencies(region() or "MA")), "MAD")
