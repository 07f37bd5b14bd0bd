"""RxNorm in its rich release format. https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html,
https://hl7.org/fhir/R4/rxnorm.html"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report, required
from fhir_server.terminology.importers.source import Source

URL = "http://www.nlm.nih.gov/research/umls/rxnorm"
_OWN = "RXNORM"
# Which of a concept's names is its display; prescribable names and synonyms are designations.
_NAMES = (
    "SCD", "SBD", "GPCK", "BPCK", "SCDC", "SBDC", "SCDF", "SBDF", "SCDG", "SBDG", "IN", "PIN", "MIN", "BN", "DF", "DFG",
)  # fmt: skip
_DATE = re.compile(r"(\d{2})(\d{2})(\d{4})")
_OBSOLETE = "O"


def read(source: Source, options: Options, report: Report) -> Content:
    """RxNorm's own concepts with relations and attributes. Raises `Unprocessable` without RXNCONSO.RRF."""
    names = source.one("RXNCONSO.RRF", what="the concepts")
    dated = _DATE.search(source.path.name)
    version = required(options.version, "".join(dated.groups()) if dated else "", "which release this is (MMDDYYYY)")
    types = {"TTY": "code", "STY": "code"}
    return Content(
        options.system or URL, version, options.name or "RxNorm", _records(source, names, types, report), types, True,
        {"title": "RxNorm", "publisher": "U.S. National Library of Medicine", **_released(version)},
    )  # fmt: skip


def _released(version: str) -> dict[str, str]:
    """By what releases are ordered: their versions begin with the month."""
    found = _DATE.fullmatch(version)
    return {"released": f"{found[3]}-{found[1]}-{found[2]}"} if found else {}


def _rows(source: Source, name: str, width: int, report: Report) -> Iterator[list[str]]:
    with source.text(name) as text:
        for line, said in enumerate(text, 1):
            row = said.rstrip("\r\n").split("|")
            if len(row) >= width:
                yield row
            elif said.strip():
                report.refuse(f"{name} line {line}", f"has {len(row)} columns, not {width}.")


def _records(source: Source, names: str, types: dict[str, str], report: Report) -> Iterator[Record]:
    said: dict[str, list[Sequence[str]]] = defaultdict(list)
    for row in _rows(source, names, 17, report):
        if row[11] == _OWN:
            said[row[0]].append((row[12], row[14], row[1], row[16]))
    parents: dict[str, list[str]] = defaultdict(list)
    properties: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    _further(source, said, parents, properties, types, report)
    for code in list(said):
        texts = said.pop(code)
        texts.sort(key=lambda each: (each[3] == _OBSOLETE, _NAMES.index(each[0]) if each[0] in _NAMES else len(_NAMES)))
        kind, display, _, _ = texts[0]
        own = dict.fromkeys([("TTY", kind), *properties.pop(code, ())])
        designations = [
            {"language": "en", "use": {"system": URL, "code": tty}, "value": text} for tty, text, _, _ in texts[1:]
        ]
        gone = all(suppressed == _OBSOLETE for *_, suppressed in texts)
        yield Record(code, display, parents.pop(code, ()), list(own), designations, None, gone)


def _further(
    source: Source, said: dict[str, list[Sequence[str]]], parents: dict[str, list[str]],
    properties: dict[str, list[tuple[str, Any]]], types: dict[str, str], report: Report,
) -> None:  # fmt: skip
    """Relations (the second concept has it to the first), semantic types and attributes."""
    if name := source.optional("RXNREL.RRF"):
        for row in _rows(source, name, 11, report):
            first, second, relation = row[0], row[4], row[7]
            if row[10] == _OWN and first in said and second in said and relation:
                if relation == "isa":
                    parents[second].append(first)
                elif relation != "inverse_isa":
                    types.setdefault(relation, "code")
                    properties[second].append((relation, first))
    if name := source.optional("RXNSTY.RRF"):
        for row in _rows(source, name, 4, report):
            if row[0] in said:
                properties[row[0]].append(("STY", row[1]))
    if name := source.optional("RXNSAT.RRF"):
        for row in _rows(source, name, 12, report):
            if row[9] == _OWN and row[0] in said and row[10]:
                types.setdefault(row[8], "string")
                properties[row[0]].append((row[8], row[10]))


IMPORTER = Importer(read, "an RxNorm release (RXNCONSO.RRF and its kin), folder or zip", URL)
