"""ICD-10-CM of the United States: the order file, the tabular list in XML, or both.

The order file has every code with its text and whether it is valid for claims; the tabular list adds chapters, blocks
and inclusion terms. https://www.cms.gov/medicare/coding-billing/icd-10-codes
"""

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source
from fhir_server.terminology.importers.xml_events import Element, elements

URL = "http://hl7.org/fhir/sid/icd-10-cm"
_YEAR = re.compile(r"(20\d\d)")
# 5 digits, blank, code (7), blank, 0 or 1, blank, short text (60), blank, long text.
_LINE = re.compile(r"(\d{5}) ([A-Z0-9]{3,7}) *([01]) (.{1,60}?) *(?: (.*))?$")
_SHORT = slice(16, 76)
_LONG = slice(77, None)


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of a release. Raises `Unprocessable` when neither file is there."""
    order = source.optional("icd10cm*order*.txt", "*order*.txt")
    tabular = source.optional("icd10cm*tabular*.xml", "*tabular*.xml")
    if order is None and tabular is None:
        raise Unprocessable(
            "There is no icd10cm-order-*.txt and no icd10cm-tabular-*.xml. Give the code descriptions or the code"
            " tables of a release, as they were downloaded."
        )
    year = _YEAR.search(order or tabular or "") or _YEAR.search(source.path.name)
    version = required(options.version, year[1] if year else "", "which release this is (such as 2025)")
    return Content(
        options.system or URL, version, options.name or "ICD_10_CM", _records(source, order, tabular, report),
        {"billable": "boolean", "kind": "code"}, False,
        {"title": "ICD-10-CM", "publisher": "National Center for Health Statistics"},
    )  # fmt: skip


def _records(source: Source, order: str | None, tabular: str | None, report: Report) -> Iterator[Record]:
    listed = {record.code: record for record in _tabular(source, tabular)} if tabular else {}
    if order is None:
        yield from listed.values()
        return
    yield from (record for record in listed.values() if record.abstract)
    known: set[str] = set()
    with source.text(order) as text:
        for line, said in enumerate(text, 1):
            found = _LINE.match(said.rstrip("\r\n"))
            if found is None:
                if said.strip():
                    report.refuse(f"{order} line {line}", "is not number, code, 0 or 1, and texts.")
                continue
            raw, display = found[2], said[_LONG].strip() or said[_SHORT].strip()
            known.add(raw)
            short = said[_SHORT].strip()
            twin = listed.get(_dotted(raw))
            above = next((raw[:length] for length in range(len(raw) - 1, 2, -1) if raw[:length] in known), None)
            parents = [_dotted(above)] if above else list(twin.parents) if twin else []
            designations = list(twin.designations) if twin else []
            if short and short != display:
                designations.insert(0, {"language": "en", "value": short})
            yield Record(_dotted(raw), display, parents, [("billable", found[3] == "1")], designations)


def _dotted(code: str) -> str:
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 else code


def _tabular(source: Source, name: str) -> Iterator[Record]:
    with source.binary(name) as file:
        for chapter in elements(file, name, {"chapter"}):
            number = next((e.words() for e in chapter.all("name")), "")
            code = f"chapter-{number}"
            yield Record(code, _text(chapter, "desc"), (), [("kind", "chapter")], abstract=True)
            for section in chapter.all("section"):
                block = section.attributes.get("id", "")
                # A block of one category has its code; the category is what counts then.
                own = list(section.all("diag"))
                single = len(own) == 1 and _text(own[0], "name") == block
                if block and not single:
                    yield Record(block, _text(section, "desc"), (code,), [("kind", "block")], abstract=True)
                for diagnosis in own:
                    yield from _diagnoses(diagnosis, code if single or not block else block, {})


def _diagnoses(diagnosis: Element, above: str, inherited: dict[str, str]) -> Iterator[Record]:
    code, below = _text(diagnosis, "name"), list(diagnosis.all("diag"))
    seventh = {
        e.attributes.get("char", ""): e.words() for kind in diagnosis.all("sevenChrDef") for e in kind.all("extension")
    } or inherited
    terms: list[dict[str, Any]] = [
        {"language": "en", "value": note.words()}
        for kind in diagnosis.all("inclusionTerm")
        for note in kind.all("note")
    ]
    display = _text(diagnosis, "desc")
    yield Record(code, display, (above,), [("billable", not below and not seventh)], terms)
    for each in below:
        yield from _diagnoses(each, code, seventh)
    for character, text in seventh.items() if not below else ():
        plain = code.replace(".", "").ljust(6, "X")
        yield Record(_dotted(plain + character), f"{display}, {text}", (code,), [("billable", True)])


def _text(element: Element, name: str) -> str:
    return next((child.words() for child in element.all(name)), "")


IMPORTER = Importer(read, "ICD-10-CM: icd10cm-order-*.txt, icd10cm-tabular-*.xml or both, folder or zip", URL)
