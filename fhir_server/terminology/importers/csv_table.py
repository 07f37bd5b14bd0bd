"""A code system in one table (CSV, or with tabs or semicolons), as a site makes it itself.

Columns, in any order: `code` (needed), `display`, `parent` (codes, separated by |), `definition`, `inactive` and
`abstract` (true or false), `designation:LANG` (texts in a language, separated by |), `property:NAME` or
`property:NAME:TYPE` (values, separated by |; TYPE is code, string, integer, boolean, decimal or
dateTime, by default string).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source, columns

_PLAIN = frozenset({"code", "display", "parent", "parents", "definition", "inactive", "abstract"})
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def truth(text: str) -> bool:
    """true or false (which nothing is too). Raises ValueError."""
    if not text:
        return False
    if text.strip().lower() not in _TRUTH:
        raise ValueError(f"{text[:20]!r} is neither true nor false")
    return _TRUTH[text.strip().lower()]


def decimal(text: str) -> Decimal:
    """A number as it is written. Raises ValueError."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ValueError(f"{text[:20]!r} is no number")
    return number


_TYPES: Mapping[str, Callable[[str], Any]] = {
    "code": str, "string": str, "dateTime": str, "integer": int, "boolean": truth, "decimal": decimal,
}  # fmt: skip
Column = Callable[[str], Any]


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of a table. Raises `Unprocessable` for columns that it cannot have."""
    name = source.one("*.csv", "*.tsv", "*.txt", "*", what="the table")
    rows = source.rows(name)
    _, first = next(rows, (1, []))
    head = [title.strip() for title in first]
    columns(head, ["code"], name)
    languages, properties = _further(head, name)
    url = required(options.system, "", "the system's URL")
    found = _records(rows, head, languages, properties, name, report)
    types = dict(properties.values())
    return Content(url, options.version or "", options.name or url, found, types)


def _further(head: Sequence[str], name: str) -> tuple[dict[int, str], dict[int, tuple[str, str]]]:
    """The languages and the properties (name, type) by column."""
    languages: dict[int, str] = {}
    properties: dict[int, tuple[str, str]] = {}
    for place, title in enumerate(head):
        kind, _, rest = title.partition(":")
        code, _, type_ = rest.partition(":")
        if kind.lower() == "designation" and code:
            languages[place] = code
        elif kind.lower() == "property" and code and (type_ or "string") in _TYPES:
            properties[place] = (code, type_ or "string")
        elif title and title.lower() not in _PLAIN:
            raise Unprocessable(
                f"{name} has a column {title[:60]!r} that is not known. There are: code, display, parent, definition,"
                " inactive, abstract, designation:LANG, property:NAME and property:NAME:TYPE (with a type of"
                f" {', '.join(_TYPES)})."
            )
    return languages, properties


def _records(
    rows: Iterator[tuple[int, list[str]]], head: Sequence[str], languages: Mapping[int, str],
    properties: Mapping[int, tuple[str, str]], name: str, report: Report,
) -> Iterator[Record]:  # fmt: skip
    place = {title.lower(): index for index, title in enumerate(head) if title}
    # A column that there is not is empty: it is put behind the others.
    absent = len(head)
    titles = ("code", "display", "definition", "inactive", "abstract")
    code, display, definition, inactive, abstract = (place.get(title, absent) for title in titles)
    above = place.get("parent", place.get("parents", absent))
    typed = [(index, title, _TYPES[type_]) for index, (title, type_) in properties.items()]
    for line, row in rows:
        if len(row) != absent:
            if any(row):
                report.refuse(f"{name} line {line}", f"has {len(row)} columns, not {absent}.")
            continue
        row.append("")
        try:
            yield Record(
                row[code].strip(), row[display].strip(), _several(row[above]),
                [(title, type_(value)) for index, title, type_ in typed for value in _several(row[index])],
                [{"language": tag, "value": text} for index, tag in languages.items() for text in _several(row[index])],
                row[definition].strip() or None, truth(row[inactive]), truth(row[abstract]),
            )  # fmt: skip
        except ValueError as error:
            report.refuse(f"{name} line {line}", f"{error}.")


def _several(text: str) -> list[str]:
    if "|" not in text:
        text = text.strip()
        return [text] if text else []
    return [part for each in text.split("|") if (part := each.strip())]


IMPORTER = Importer(read, "a table (CSV) with the columns code, display, parent, ...")
