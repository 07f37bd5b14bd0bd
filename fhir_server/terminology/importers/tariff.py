"""A tariff in one table: CCAM, NGAP, NABM and what is like them, acts with prices that hold from day to day.

Columns: `code`, `label`, `price`, and if there are such `currency`, `from`, `until`, `parent`, `unit`; French titles
are known too. A code may stand several times, once for each price; the latest is the one in force, the others
are kept as `former-price`.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.csv_table import decimal
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source
from fhir_server.terminology.words import fold

_TITLES: Mapping[str, tuple[str, ...]] = {
    "code": ("code", "acte", "code acte", "lettre cle"),
    "label": ("label", "display", "libelle", "designation", "libelle long"),
    "price": ("price", "tarif", "prix", "montant", "amount"),
    "currency": ("currency", "devise"),
    "from": ("from", "valid-from", "date debut", "debut", "date effet", "start"),
    "until": ("until", "valid-until", "date fin", "fin", "end"),
    "parent": ("parent", "chapitre", "chapter"),
    "unit": ("unit", "unite", "coefficient"),
}
_TYPES = {
    "price": "decimal", "currency": "code", "effective-from": "dateTime", "effective-until": "dateTime",
    "unit": "string", "former-price": "string",
}  # fmt: skip
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)|(\d\d)/(\d\d)/(\d{4})|(\d{4})(\d\d)(\d\d)")
_CURRENCY = re.compile(r"[A-Z]{3}")


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of a tariff. Raises `Unprocessable` without the columns code and label."""
    name = source.one("*.csv", "*.tsv", "*.txt", "*", what="the tariff")
    rows = source.rows(name)
    _, head = next(rows, (1, []))
    at = _columns(head, name)
    acts: dict[str, list[dict[str, Any]]] = {}
    for line, row in rows:
        if not any(row):
            continue
        if len(row) != len(head):
            report.refuse(f"{name} line {line}", f"has {len(row)} columns, not {len(head)}.")
            continue
        try:
            act = _act({title: row[place].strip() for title, place in at.items()})
        except ValueError as error:
            report.refuse(f"{name} line {line}", f"{error}.")
            continue
        acts.setdefault(act["code"], []).append(act)
    url = required(options.system, "", "the tariff's URL")
    return Content(url, options.version or "", options.name or url, _records(acts), _TYPES, False)


def _columns(head: list[str], name: str) -> dict[str, int]:
    titles = [fold(title.strip()) for title in head]
    found: dict[str, int] = {}
    for wanted, spellings in _TITLES.items():
        place = next((titles.index(spelling) for spelling in spellings if spelling in titles), None)
        if place is not None:
            found[wanted] = place
    missing = [title for title in ("code", "label") if title not in found]
    if missing:
        raise Unprocessable(
            f"{name} has no column {' and no column '.join(missing)}; its first line says: {', '.join(head)[:200]}."
            " A tariff has code, label, price, currency, from, until, parent and unit."
        )
    return found


def _act(row: Mapping[str, str]) -> dict[str, Any]:
    act: dict[str, Any] = {**row, "price": None}
    if row.get("price"):
        act["price"] = decimal(re.sub(r"[\s\u00a0\u202f]", "", row["price"]).replace(",", "."))
        if act["price"] < 0:
            raise ValueError("the price is below zero")
    if row.get("currency") and not _CURRENCY.fullmatch(row["currency"]):
        raise ValueError(f"{row['currency'][:20]!r} is no currency of three letters, such as EUR")
    for title in ("from", "until"):
        act[title] = _day(row[title]) if row.get(title) else ""
    if act["from"] and act["until"] and act["until"] < act["from"]:
        raise ValueError("the price ends before it begins")
    return act


def _day(text: str) -> str:
    found = _DAY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:20]!r} is no day such as 2024-01-31 or 31/01/2024")
    parts = [part for part in found.groups() if part]
    year, month, day = reversed(parts) if "/" in text else parts
    return date(int(year), int(month), int(day)).isoformat()


def _records(acts: Mapping[str, list[dict[str, Any]]]) -> Iterator[Record]:
    for code, several in acts.items():
        several.sort(key=lambda act: act["from"], reverse=True)
        act, *former = several
        properties: list[tuple[str, Any]] = []
        for name, title in (("price", "price"), ("currency", "currency"), ("effective-from", "from"),
                            ("effective-until", "until"), ("unit", "unit")):  # fmt: skip
            value = act.get(title)
            if value or isinstance(value, Decimal):
                properties.append((name, value))
        properties += [("former-price", _span(each)) for each in former if each["price"] is not None]
        above = act.get("parent")
        yield Record(code, act["label"], [above] if above else (), properties)


def _span(act: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (str(act["price"]), act.get("currency"), f"{act['from']}/{act['until']}".strip("/"))))


IMPORTER = Importer(read, "a tariff (CSV) with the columns code, label, price, currency, from, until")
