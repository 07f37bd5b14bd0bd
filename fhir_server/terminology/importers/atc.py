"""ATC with defined daily doses: WHO's XML, or a table. https://www.who.int/tools/atc-ddd-toolkit

Table: columns `ATC code` and `ATC level name` (or `code` and `name`), and `DDD`, `UOM` (or `unit`), `Adm.R` (or
`route`), `Note`; a code stands once for each of its doses.
"""

from collections.abc import Iterator
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report
from fhir_server.terminology.importers.source import Source
from fhir_server.terminology.importers.xml_events import elements

URL = "http://www.whocc.no/atc"
# Lengths of codes by level; what stands above a code is its beginning.
_LENGTHS = (1, 3, 4, 5, 7)
_CODE, _NAME = ("atc code", "atccode", "atc", "code"), ("atc level name", "atclevelname", "name", "display", "label")
_DOSE = (("ddd",), ("uom", "unit", "unittype"), ("adm.r", "admcode", "route"), ("note", "dddcomment", "comment"))
_TYPES = {"level": "integer", "ddd": "string"}
_DESCRIBED = {
    "title": "Anatomical Therapeutic Chemical classification",
    "publisher": "WHO Collaborating Centre for Drug Statistics Methodology",
}
Line = dict[str, str]


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of the tables: code, name, level, and each dose as `ddd` (amount, unit, route, note)."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line, row in _lines(source, report):
        code, name = _of(row, _CODE).strip().upper(), _of(row, _NAME).strip()
        if len(code) not in _LENGTHS:
            report.refuse(line, f"{code[:20]!r} is no ATC code.")
            continue
        known, doses = found.setdefault(code, (name, []))
        if name and not known:
            found[code] = (name, doses)
        dose = " ".join(filter(None, (_of(row, titles).strip() for titles in _DOSE)))
        if _of(row, _DOSE[0]).strip() and dose not in doses:
            doses.append(dose)
    return Content(
        options.system or URL, options.version or "", options.name or "ATC", _records(found), _TYPES, False, _DESCRIBED
    )


def _records(found: dict[str, tuple[str, list[str]]]) -> Iterator[Record]:
    for code, (name, doses) in sorted(found.items()):
        level = _LENGTHS.index(len(code))
        above = next((code[:n] for n in reversed(_LENGTHS[:level]) if code[:n] in found), None)
        properties: list[tuple[str, Any]] = [("level", level + 1), *(("ddd", dose) for dose in doses)]
        yield Record(code, name, [above] if above else (), properties)


def _lines(source: Source, report: Report) -> Iterator[tuple[str, Line]]:
    files = source.all("*.xml") or source.all("*.csv", "*.tsv", "*.txt")
    if not files:
        raise Unprocessable(
            "There is no *.xml or *.csv with ATC codes. Give WHO's ATC file, or a table with the columns code and name."
        )
    for name in files:
        if name.lower().endswith(".xml"):
            with source.binary(name) as file:
                for element in elements(file, name, {"row"}):
                    yield name, {title.lower(): text for title, text in element.attributes.items()}
        else:
            yield from _table(source, name, report)


def _table(source: Source, name: str, report: Report) -> Iterator[tuple[str, Line]]:
    rows = source.rows(name)
    _, head = next(rows, (1, []))
    titles = [title.strip().lower() for title in head]
    if not set(_CODE) & set(titles):
        raise Unprocessable(f"{name} has no column ATC code; its first line says: {', '.join(titles)[:200]}.")
    for line, row in rows:
        if len(row) == len(head):
            yield f"{name} line {line}", dict(zip(titles, row, strict=True))
        elif any(row):
            report.refuse(f"{name} line {line}", f"has {len(row)} columns, not {len(head)}.")


def _of(row: Line, titles: tuple[str, ...]) -> str:
    return next((row[title] for title in titles if row.get(title)), "")


IMPORTER = Importer(read, "WHO's ATC and DDD files in XML, or a table with code, name and doses", URL)
