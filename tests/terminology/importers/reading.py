"""Small releases, made for the tests, as their publishers lay files out; none of their content is real."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from fhir_server.terminology.importers.formats import FORMATS
from fhir_server.terminology.importers.records import Content, Options, Record, Report
from fhir_server.terminology.importers.source import Source


def release(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def archive(path: Path, files: Mapping[str, str]) -> Path:
    """A zip with these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(name, text)
    return path


def read(format_: str, path: Path, **options: str) -> tuple[Content, dict[str, Record], Report]:
    """What an importer says of a release: the system, its concepts by code, and what it left out."""
    report = Report()
    content = FORMATS[format_].read(Source(path), Options(**options), report)
    return content, {record.code: record for record in content.records}, report


def properties(record: Record) -> dict[str, list[object]]:
    """A concept's properties by code."""
    found: dict[str, list[object]] = {}
    for name, value in record.properties:
        found.setdefault(name, []).append(value)
    return found


def table(*rows: str, by: str = "\t") -> str:
    """A table: columns are written with blanks around |."""
    return "".join(by.join(cell.strip() for cell in row.split("|")) + "\r\n" for row in rows)
