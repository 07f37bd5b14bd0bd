"""LOINC: terms, parts, answer lists, the hierarchy of components and the linguistic variants.

https://loinc.org/kb/users-guide/, https://hl7.org/fhir/R4/loinc.html
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source, columns

URL = "http://loinc.org"
_RELEASE = re.compile(r"loinc[_ -]?v?(\d+\.\d+)", re.IGNORECASE)
_VARIANT = re.compile(r"([a-z]{2})([A-Z]{2})\d*LinguisticVariant\.csv$")
# The six axes, which point at parts, and what else is kept of a term.
_AXES = ("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP")
_KINDS = dict(zip(("COMPONENT", "PROPERTY", "TIME", "SYSTEM", "SCALE", "METHOD"), _AXES, strict=True))
_FURTHER = (
    "CLASS", "CLASSTYPE", "STATUS", "ORDER_OBS", "EXAMPLE_UCUM_UNITS", "PanelType", "AskAtOrderEntry",
    "AssociatedObservations",
)  # fmt: skip
_NAMES = ("SHORTNAME", "DisplayName", "CONSUMER_NAME")
_TYPES = {
    **dict.fromkeys(_AXES, "Coding"), **dict.fromkeys(_FURTHER, "string"), "answer-list": "code", "answers-for": "code",
    "answer": "code", "LIST": "code", "PartTypeName": "string",
}  # fmt: skip
_LICENCE = (
    "This material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief Institute, Inc."
    " and the LOINC Committee and is available at no cost under the license at http://loinc.org/license."
)
Row = dict[str, str]


class _Tables:
    def __init__(self, source: Source, report: Report) -> None:
        self.source, self._report = source, report

    def rows(self, name: str | None, needed: Sequence[str]) -> Iterator[Row]:
        """The rows of a file by their columns' names; none when the release has no such file."""
        if name is None:
            return
        rows = self.source.rows(name, delimiter=",")
        _, head = next(rows, (1, []))
        columns(head, needed, name)
        for line, row in rows:
            if len(row) == len(head):
                yield dict(zip(head, row, strict=True))
            elif row:
                self._report.refuse(f"{name} line {line}", f"has {len(row)} columns, not {len(head)}.")


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of a release. Raises `Unprocessable` without Loinc.csv."""
    terms = source.one("Loinc.csv", what="the terms")
    found = _RELEASE.search(str(source.path)) or next(filter(None, map(_RELEASE.search, source.names)), None)
    version = required(options.version, found[1] if found else "", "which release this is (such as 2.77)")
    return Content(
        options.system or URL, version, options.name or "LOINC", _records(_Tables(source, report), terms), _TYPES, True,
        {"title": "LOINC", "publisher": "Regenstrief Institute, Inc.", "copyright": _LICENCE},
    )  # fmt: skip


def _records(tables: _Tables, terms: str) -> Iterator[Record]:
    source = tables.source
    parents, texts = _hierarchy(tables)
    axes, lists, answers = _axes(tables), _links(tables), _answers(tables)
    variants = _variants(tables)
    for row in tables.rows(terms, ["LOINC_NUM", "COMPONENT", "LONG_COMMON_NAME", "STATUS"]):
        code = row["LOINC_NUM"]
        texts.pop(code, None)
        linked = axes.pop(code, {})
        properties: list[tuple[str, Any]] = [(a, linked.get(a) or row[a]) for a in _AXES if linked.get(a) or row.get(a)]
        properties += [(name, row[name]) for name in _FURTHER if row.get(name)]
        properties += [("answer-list", each) for each in lists.get(code, ())]
        designations = [_text("en", row[name], name) for name in _NAMES if row.get(name)] + variants.pop(code, [])
        yield Record(
            code, row["LONG_COMMON_NAME"] or row.get("SHORTNAME", ""), parents.pop(code, ()), properties, designations,
            row.get("DefinitionDescription") or None, row["STATUS"] == "DEPRECATED",
        )  # fmt: skip
    for row in tables.rows(source.optional("Part.csv"), ["PartNumber", "PartTypeName", "PartName"]):
        code, display = row["PartNumber"], row.get("PartDisplayName") or row["PartName"]
        texts.pop(code, None)
        named = [_text("en", row["PartName"], "PartName")] if row["PartName"] != display else []
        gone = row.get("Status") == "DEPRECATED"
        yield Record(code, display, parents.pop(code, ()), [("PartTypeName", row["PartTypeName"])], named, None, gone)
    for code, text in texts.items():
        yield Record(code, text, parents.pop(code, ()))
    yield from answers(lists)


def _hierarchy(tables: _Tables) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Parents by code, and the texts of codes that the hierarchy brings."""
    name = tables.source.optional("ComponentHierarchyBySystem.csv", "MultiAxialHierarchy.csv")
    parents: dict[str, list[str]] = defaultdict(list)
    texts: dict[str, str] = {}
    for row in tables.rows(name, ["IMMEDIATE_PARENT", "CODE", "CODE_TEXT"]):
        code, above = row["CODE"], row["IMMEDIATE_PARENT"]
        texts[code] = row["CODE_TEXT"]
        if above and above not in parents[code]:
            parents[code].append(above)
    return parents, texts


def _axes(tables: _Tables) -> dict[str, dict[str, dict[str, str]]]:
    """By term and axis, the part."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    name = tables.source.optional("LoincPartLink_Primary.csv")
    for row in tables.rows(name, ["LoincNumber", "PartNumber", "PartName", "PartTypeName"]):
        axis = _KINDS.get(row["PartTypeName"])
        if axis:
            found[row["LoincNumber"]][axis] = {"system": URL, "code": row["PartNumber"], "display": row["PartName"]}
    return found


def _links(tables: _Tables) -> dict[str, list[str]]:
    """By term, its answer lists."""
    found: dict[str, list[str]] = defaultdict(list)
    name = tables.source.optional("LoincAnswerListLink.csv")
    for row in tables.rows(name, ["LoincNumber", "AnswerListId"]):
        if row["AnswerListId"] not in found[row["LoincNumber"]]:
            found[row["LoincNumber"]].append(row["AnswerListId"])
    return found


def _answers(tables: _Tables) -> Any:
    """What gives the answer lists and the answers as concepts."""

    def records(links: dict[str, list[str]]) -> Iterator[Record]:
        users: dict[str, list[str]] = defaultdict(list)
        for code, lists in links.items():
            for each in lists:
                users[each].append(code)
        names: dict[str, str] = {}
        held: dict[str, list[str]] = defaultdict(list)
        texts: dict[str, str] = {}
        name = tables.source.optional("AnswerList.csv")
        for row in tables.rows(name, ["AnswerListId", "AnswerListName", "AnswerStringId", "DisplayText"]):
            names[row["AnswerListId"]] = row["AnswerListName"]
            if row["AnswerStringId"]:
                texts.setdefault(row["AnswerStringId"], row["DisplayText"])
                held[row["AnswerListId"]].append(row["AnswerStringId"])
        for code, text in names.items():
            said = [("answer", each) for each in dict.fromkeys(held[code])]
            yield Record(code, text, (), [*said, *(("answers-for", each) for each in users.get(code, ()))])
        on: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for code, answers in held.items():
            for each in dict.fromkeys(answers):
                on[each].append(("LIST", code))
        yield from (Record(code, text, (), on[code]) for code, text in texts.items())

    return records


def _variants(tables: _Tables) -> dict[str, list[dict[str, Any]]]:
    """Names in other languages by term."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name in tables.source.all("*LinguisticVariant.csv"):
        tagged = _VARIANT.search(name)
        if tagged is None:
            continue
        language = f"{tagged[1]}-{tagged[2]}"
        for row in tables.rows(name, ["LOINC_NUM"]):
            for title in ("LinguisticVariantDisplayName", "LONG_COMMON_NAME", "SHORTNAME"):
                if row.get(title):
                    found[row["LOINC_NUM"]].append(_text(language, row[title], title))
    return found


def _text(language: str, value: str, use: str) -> dict[str, Any]:
    return {"language": language, "use": {"system": URL, "code": use}, "value": value}


IMPORTER = Importer(read, "a LOINC release (Loinc.csv, AccessoryFiles), folder or zip", URL)
