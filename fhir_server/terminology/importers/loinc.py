"""LOINC: terms, parts, answer lists, the hierarchy of components and the linguistic variants.

https://loinc.org/kb/users-guide/, https://hl7.org/fhir/R4/loinc.html
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_server.terminology.importers.loinc_answers import AnswerLists
from fhir_server.terminology.importers.loinc_tables import URL, Coding, Row, Tables, coded
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source

_RELEASE = re.compile(r"loinc[_ -]?v?(\d+\.\d+)", re.IGNORECASE)
_PROPERTIES = "http://loinc.org/property/"
_OLD_NAMES = {
    "COMPONENT": "COMPONENT", "PROPERTY": "PROPERTY", "TIME": "TIME_ASPCT", "SYSTEM": "SYSTEM", "SCALE": "SCALE_TYP",
    "METHOD": "METHOD_TYP", "CLASS": "CLASS",
}  # fmt: skip
_VARIANT = re.compile(r"([a-z]{2})([A-Z]{2})\d*LinguisticVariant\.csv$")
# The six axes and the class point at parts, as do the properties that the files of links name; the types are those of
# https://loinc.org/fhir (CodeSystem.property).
_AXES = ("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS")
_TEXTS = (
    "CLASSTYPE", "STATUS", "STATUS_REASON", "STATUS_TEXT", "CHNG_TYPE", "CHANGE_REASON_PUBLIC", "VersionFirstReleased",
    "VersionLastChanged", "ORDER_OBS", "PanelType", "FORMULA", "EXMPL_ANSWERS", "SURVEY_QUEST_TEXT", "SURVEY_QUEST_SRC",
    "UNITSREQUIRED", "EXAMPLE_UNITS", "EXAMPLE_UCUM_UNITS", "HL7_FIELD_SUBFIELD_ID", "HL7_ATTACHMENT_STRUCTURE",
    "ValidHL7AttachmentRequest", "COMMON_TEST_RANK", "COMMON_ORDER_RANK", "EXTERNAL_COPYRIGHT_NOTICE",
    "EXTERNAL_COPYRIGHT_LINK",
)  # fmt: skip
# Lists of terms, separated by semicolons.
_TERMS = ("AskAtOrderEntry", "AssociatedObservations")
_NAMES = ("SHORTNAME", "DisplayName", "CONSUMER_NAME")
_TYPES = {
    **dict.fromkeys((*_AXES, *_TERMS, "answer-list", "answers-for", "MAP_TO"), "Coding"),
    **dict.fromkeys((*_TEXTS, "PartTypeName"), "string"), **dict.fromkeys(("answer", "LIST", "copyright"), "code"),
}  # fmt: skip
_LICENCE = (
    "This material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief Institute, Inc."
    " and the LOINC Committee and is available at no cost under the license at http://loinc.org/license."
)


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of a release. Raises `Unprocessable` without Loinc.csv."""
    terms = source.one("Loinc.csv", what="the terms")
    found = _RELEASE.search(str(source.path)) or next(filter(None, map(_RELEASE.search, source.names)), None)
    version = required(options.version, found[1] if found else "", "which release this is (such as 2.77)")
    types = dict(_TYPES)
    return Content(
        options.system or URL, version, options.name or "LOINC", _records(Tables(source, report), terms, types), types,
        False, {"title": "LOINC", "publisher": "Regenstrief Institute, Inc.", "copyright": _LICENCE},
    )  # fmt: skip


def _records(tables: Tables, terms: str, types: dict[str, str]) -> Iterator[Record]:
    parents, texts = _hierarchy(tables)
    links, lists, replaced = _parts(tables, types), AnswerLists(tables), _replacements(tables)
    variants = _variants(tables)
    for row in tables.rows(terms, ["LOINC_NUM", "COMPONENT", "LONG_COMMON_NAME", "STATUS"]):
        code = row["LOINC_NUM"]
        texts.pop(code, None)
        properties = [*_of_term(row, links.pop(code, {})), *lists.of_term(code), *replaced.pop(code, ())]
        designations = [_text("en", row[name], name) for name in _NAMES if row.get(name)] + variants.pop(code, [])
        yield Record(
            code, row["LONG_COMMON_NAME"] or row.get("SHORTNAME", ""), parents.pop(code, ()), properties, designations,
            row.get("DefinitionDescription") or None, row["STATUS"] == "DEPRECATED",
            found_by=_found_by(properties, row),
        )  # fmt: skip
    for row in tables.rows(tables.source.optional("Part.csv"), ["PartNumber", "PartTypeName", "PartName"]):
        code, display = row["PartNumber"], row.get("PartDisplayName") or row["PartName"]
        texts.pop(code, None)
        named = [_text("en", row["PartName"], "PartName")] if row["PartName"] != display else []
        gone = row.get("Status") == "DEPRECATED"
        yield Record(code, display, parents.pop(code, ()), [("PartTypeName", row["PartTypeName"])], named, None, gone)
    for code, text in texts.items():
        yield Record(code, text, parents.pop(code, ()))
    yield from lists.records()


def _of_term(row: Row, parts: Mapping[str, Sequence[Coding]]) -> Iterator[tuple[str, Any]]:
    """The properties of a term; an axis whose part is not told as its text alone."""
    for name in _AXES:
        if name not in parts and row.get(name):
            yield name, {"display": row[name]}
    for name, codings in parts.items():
        yield from ((name, coding) for coding in codings)
    yield from ((name, row[name]) for name in _TEXTS if row.get(name))
    for name in _TERMS:
        yield from ((name, coded(each.strip())) for each in row.get(name, "").split(";") if each.strip())


def _found_by(properties: Sequence[tuple[str, Any]], row: Row) -> list[tuple[str, str]]:
    """Axes are filtered by the names of parts too (`SCALE_TYP = Doc`), terms by whose copyright there is besides.
    https://hl7.org/fhir/R4/loinc.html"""
    names = [(name, value["display"]) for name, value in properties if isinstance(value, dict) and "display" in value]
    axes = [(name, row[name]) for name in _AXES if row.get(name)]
    rights = "3rdParty" if row.get("EXTERNAL_COPYRIGHT_NOTICE") else "LOINC"
    return list(dict.fromkeys([*names, *axes, ("copyright", rights)]))


def _hierarchy(tables: Tables) -> tuple[dict[str, list[str]], dict[str, str]]:
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


def _parts(tables: Tables, types: dict[str, str]) -> dict[str, dict[str, list[Coding]]]:
    """By term and property, the parts. The property is the end of the url that a link names; of older releases, the
    part's type. What is met becomes known to `types`."""
    found: dict[str, dict[str, list[Coding]]] = defaultdict(dict)
    source = tables.source
    for name in (source.optional("LoincPartLink_Primary.csv"), source.optional("LoincPartLink_Supplementary.csv")):
        for row in tables.rows(name, ["LoincNumber", "PartNumber", "PartName", "PartTypeName"]):
            url, old = row.get("Property", ""), _OLD_NAMES.get(row["PartTypeName"])
            about = url.removeprefix(_PROPERTIES) if url.startswith(_PROPERTIES) else old
            if about:
                types.setdefault(about, "Coding")
                several = found[row["LoincNumber"]].setdefault(about, [])
                coding = coded(row["PartNumber"], row["PartName"])
                if coding not in several:
                    several.append(coding)
    return found


def _replacements(tables: Tables) -> dict[str, list[tuple[str, Coding]]]:
    """By term that is out of use, the terms that are used instead."""
    found: dict[str, list[tuple[str, Coding]]] = defaultdict(list)
    for row in tables.rows(tables.source.optional("MapTo.csv"), ["LOINC", "MAP_TO"]):
        found[row["LOINC"]].append(("MAP_TO", coded(row["MAP_TO"])))
    return found


def _variants(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Names for laypeople and in other languages, by term."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    _consumer_names(tables, found)
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


def _consumer_names(tables: Tables, found: dict[str, list[dict[str, Any]]]) -> None:
    for row in tables.rows(tables.source.optional("ConsumerName.csv"), ["LoincNumber", "ConsumerName"]):
        found[row["LoincNumber"]].append(_text("en", row["ConsumerName"], "ConsumerName"))


def _text(language: str, value: str, use: str) -> dict[str, Any]:
    return {"language": language, "use": {"system": URL, "code": use}, "value": value}


IMPORTER = Importer(read, "a LOINC release (Loinc.csv, AccessoryFiles), folder or zip", URL)
