"""SNOMED CT in release format 2, from the snapshot of an edition.

https://confluence.ihtsdotools.org/display/DOCRELFMT, https://hl7.org/fhir/R4/snomedct.html
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.implicit_maps import ASSOCIATIONS
from fhir_server.terminology.importers.csv_table import decimal
from fhir_server.terminology.importers.records import Content, Importer, Options, Record, Report
from fhir_server.terminology.importers.source import Source, columns

URL = "http://snomed.info/sct"
_IS_A = "116680003"
_FULLY_SPECIFIED, _SYNONYM, _PREFERRED = "900000000000003001", "900000000000013009", "900000000000548007"
_DEFINED = "900000000000073002"
_INTERNATIONAL = "900000000000207008"
_DIALECTS = {"900000000000508004": "en-GB", "900000000000509007": "en-US"}
_CONCEPTS = "*sct2_Concept_Snapshot*.txt"
_DATE = re.compile(r"_(\d{8})\.txt$", re.IGNORECASE)
# Relationships outside of every role group.
_UNGROUPED = "0"
# By concept: (group, property).
Groups = dict[str, list[tuple[str, tuple[str, Any]]]]
# A description: its language, text, type, and the dialects that prefer it.
Said = tuple[str, str, str, tuple[str, ...]]


class _Tables:
    """The snapshot's tables; of rows that several packages have, the latest counts."""

    def __init__(self, source: Source, report: Report) -> None:
        self.source, self._report = source, report
        self.several = len(source.all(_CONCEPTS)) > 1

    def rows(self, pattern: str, needed: Sequence[str]) -> Iterator[list[str]]:
        """The needed columns of every row of the files that are like the pattern."""
        for name in self.source.all(pattern):
            rows = self.source.rows(name, delimiter="\t", quoted=False)
            _, head = next(rows, (1, []))
            at = columns(head, needed, name)
            wanted = [at[each.lower()] for each in needed]
            width = len(head)
            for line, row in rows:
                if len(row) == width:
                    yield [row[each] for each in wanted]
                elif row:
                    self._report.refuse(f"{name} line {line}", f"has {len(row)} columns, not {width}.")

    def active(self, pattern: str, needed: Sequence[str]) -> Iterator[list[str]]:
        """The needed columns of the rows in force."""
        latest: dict[str, tuple[str, str, list[str]]] = {}
        for id_, time, active, *row in self.rows(pattern, ["id", "effectiveTime", "active", *needed]):
            if not self.several:
                if active == "1":
                    yield row
            elif id_ not in latest or latest[id_][0] < time:
                latest[id_] = (time, active, row)
        yield from (row for _, active, row in latest.values() if active == "1")


def read(source: Source, options: Options, report: Report) -> Content:
    """The content of an edition's snapshot. Raises `Unprocessable` when files are missing."""
    if not source.all(_CONCEPTS):
        raise Unprocessable(
            "There is no file sct2_Concept_Snapshot_*.txt. Give the folder or archive of a SNOMED CT release in format"
            " RF2 as it was downloaded; its folder Snapshot is what is read."
        )
    tables = _Tables(source, report)
    version = options.version or _version(tables)
    said = {
        "title": "SNOMED CT",
        "publisher": "SNOMED International",
        "copyright": "This material includes SNOMED Clinical Terms, used by permission of SNOMED International.",
        "implicitValueSets": True,
        "grouped": True,
    }
    types: dict[str, str] = {"sufficientlyDefined": "boolean", "moduleId": "code", "refset": "code"}
    types |= {name: "code" for name, _ in ASSOCIATIONS.values()}
    return Content(
        options.system or URL, version, options.name or "SNOMED_CT",
        _records(tables, (options.language or "en").lower(), types), types, True, said,
    )  # fmt: skip


def _version(tables: _Tables) -> str:
    """The URI of edition and release, from what the modules depend on and the date in the file's name."""
    sources: set[str] = set()
    targets: set[str] = set()
    wanted = ["moduleId", "referencedComponentId"]
    for module, target in tables.active("*der2_ssRefset_ModuleDependency*Snapshot*.txt", wanted):
        sources.add(module)
        targets.add(target)
    tops = sources - targets
    module = tops.pop() if len(tops) == 1 else _INTERNATIONAL if not sources else ""
    dates = [found[1] for name in tables.source.all(_CONCEPTS) if (found := _DATE.search(name))]
    if not module or not dates:
        raise Unprocessable(
            "The files do not say which edition and release this is. Give the version, such as"
            " http://snomed.info/sct/900000000000207008/version/20240101."
        )
    return f"{URL}/{module}/version/{max(dates)}"


def _records(tables: _Tables, language: str, types: dict[str, str]) -> Iterator[Record]:
    descriptions = _descriptions(tables)
    texts = tables.active("*sct2_TextDefinition_Snapshot*.txt", ["conceptId", "term"])
    definitions = {concept: text for concept, text in texts}  # noqa: C416  (the rows are lists)
    parents: dict[str, list[str]] = defaultdict(list)
    properties: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    groups: Groups = defaultdict(list)
    _relationships(tables, parents, properties, types, groups)
    for member, refset in tables.active("*der2_Refset_*Snapshot*.txt", ["referencedComponentId", "refsetId"]):
        properties[member].append(("refset", refset))
    wanted = ["referencedComponentId", "refsetId", "targetComponentId"]
    for member, refset, target in tables.active("*der2_cRefset_Association*Snapshot*.txt", wanted):
        if refset in ASSOCIATIONS:
            properties[member].append((ASSOCIATIONS[refset][0], target))
    needed = ["id", "effectiveTime", "active", "moduleId", "definitionStatusId"]
    latest: dict[str, str] = {}
    for id_, time, *_ in tables.rows(_CONCEPTS, needed) if tables.several else ():
        latest[id_] = max(time, latest.get(id_, ""))
    for id_, time, active, module, status in tables.rows(_CONCEPTS, needed):
        if latest.get(id_, time) != time:
            continue
        if tables.several:
            latest[id_] = ""
        display, designations = _texts(descriptions.pop(id_, ()), language)
        said = (("sufficientlyDefined", status == _DEFINED), ("moduleId", module))
        own = list(dict.fromkeys((*said, *properties.pop(id_, ()))))
        yield Record(
            id_, display, parents.pop(id_, ()), own, designations, definitions.pop(id_, None), active != "1",
            groups=_places(own, groups.pop(id_, ())),
        )  # fmt: skip


def _descriptions(tables: _Tables) -> dict[str, list[Said]]:
    dialects: dict[str, list[str]] = defaultdict(list)
    wanted = ["referencedComponentId", "refsetId", "acceptabilityId"]
    for description, refset, acceptability in tables.active("*der2_cRefset_Language*Snapshot*.txt", wanted):
        if acceptability == _PREFERRED:
            dialects[description].append(_DIALECTS.get(refset, ""))
    found: dict[str, list[Said]] = defaultdict(list)
    # `id` is among the columns that `active` takes; it is needed here too.
    columns_ = ["id", "conceptId", "languageCode", "typeId", "term"]
    for id_, concept, language, type_, term in tables.active("*sct2_Description_Snapshot*.txt", columns_):
        found[concept].append((language, term, type_, tuple(dialects.get(id_, ()))))
    return found


def _relationships(
    tables: _Tables, parents: dict[str, list[str]], properties: dict[str, list[tuple[str, Any]]],
    types: dict[str, str], groups: Groups,
) -> None:  # fmt: skip
    wanted = ["sourceId", "typeId", "destinationId", "relationshipGroup"]
    for source, type_, target, group in tables.active("*sct2_Relationship_Snapshot*.txt", wanted):
        if type_ == _IS_A:
            parents[source].append(target)
        else:
            types.setdefault(type_, "code")
            properties[source].append((type_, target))
            if group != _UNGROUPED:
                groups[source].append((group, (type_, target)))
    wanted = ["sourceId", "typeId", "value", "relationshipGroup"]
    for source, type_, value, group in tables.active("*sct2_RelationshipConcreteValues_Snapshot*.txt", wanted):
        number = value.startswith("#")
        types.setdefault(type_, "decimal" if number else "string")
        pair = (type_, decimal(value[1:]) if number else value.strip('"'))
        properties[source].append(pair)
        if group != _UNGROUPED:
            groups[source].append((group, pair))


def _places(properties: Sequence[tuple[str, Any]], grouped: Sequence[tuple[str, tuple[str, Any]]]) -> list[list[int]]:
    """Of each group in the order of their numbers the places of its properties."""
    if not grouped:
        return []
    place = {pair: number for number, pair in enumerate(properties)}
    found: dict[str, set[int]] = defaultdict(set)
    for group, pair in grouped:
        found[group].add(place[pair])
    return [sorted(found[group]) for group in sorted(found, key=lambda each: (len(each), each))]


def _texts(said: Sequence[Said], language: str) -> tuple[str, list[dict[str, Any]]]:
    """The display and, of every language, the preferred term, the synonyms and the fully specified name."""
    ordered = sorted(said, key=lambda each: (each[2] == _FULLY_SPECIFIED, not each[3], each[0] != language))
    short = language.partition("-")[0]
    best = [each for each in ordered if each[0] in (language, short)] or [e for e in ordered if e[0] == "en"] or ordered
    exact = [each for each in best if any(dialect.lower() == language for dialect in each[3])]
    american = [each for each in best if "en-US" in each[3] and each[2] != _FULLY_SPECIFIED]
    display = (exact or american or best or [("", "", "", ())])[0][1]
    designations = []
    for tag, term, type_, dialects in ordered:
        use = {"system": URL, "code": type_}
        use["display"] = "Fully specified name" if type_ == _FULLY_SPECIFIED else "Synonym"
        designations.append({"language": next(filter(None, dialects), "") or tag, "use": use, "value": term})
    return display, designations


IMPORTER = Importer(read, "a SNOMED CT release in format RF2, folder or zip", URL)
