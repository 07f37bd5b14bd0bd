"""The files of a LOINC release. https://loinc.org/kb/users-guide/"""

from collections.abc import Iterator, Sequence

from fhir_server.terminology.importers.records import Report
from fhir_server.terminology.importers.source import Source, columns

URL = "http://loinc.org"
Row = dict[str, str]
Coding = dict[str, str]


class Tables:
    """The tables of a release, by the names of their files; lines that cannot be read are told."""

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


def coded(code: str, display: str = "") -> Coding:
    """A code of LOINC's as a Coding."""
    return {"system": URL, "code": code} | ({"display": display} if display else {})
