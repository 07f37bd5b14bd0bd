"""What an importer gives: what a code system is, and its concepts one by one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.core.errors import Unprocessable
from fhir_server.terminology.importers.source import Source

_SHOWN = 20


@dataclass(slots=True)
class Record:
    """A concept as its source has it. `parents`: codes, which may come later; `properties`: (code, value), a value
    being text, a number, true or false, or a Coding; `groups`: places in them of those that belong together;
    `designations`: as in a CodeSystem resource; `found_by`: what else filters find it by, as (property, value)."""

    code: str
    display: str
    parents: Sequence[str] = ()
    properties: Sequence[tuple[str, Any]] = ()
    designations: Sequence[Mapping[str, Any]] = ()
    definition: str | None = None
    inactive: bool = False
    abstract: bool = False
    groups: Sequence[Sequence[int]] = ()
    found_by: Sequence[tuple[str, str]] = ()


@dataclass(slots=True)
class Report:
    """What was left out of a source: how many lines or links, and the first of them with the reason."""

    refused: int = 0
    messages: list[str] = field(default_factory=list)

    def refuse(self, where: str, why: str) -> None:
        """Leave something out. `where` names file and line, or the code."""
        self.refused += 1
        if len(self.messages) < _SHOWN:
            self.messages.append(f"{where}: {why}")

    def summary(self) -> str:
        """One text of it all; empty when nothing was left out."""
        if not self.refused:
            return ""
        more = f" (the first {_SHOWN}:)" if self.refused > _SHOWN else ""
        return f"{self.refused} left out{more} " + " ".join(self.messages)


@dataclass(frozen=True, slots=True)
class Options:
    """What is said of an import besides its source; None: what the source says, or the format's own."""

    system: str | None = None
    version: str | None = None
    name: str | None = None
    language: str | None = None


@dataclass(slots=True)
class Content:
    """A code system. `properties`: {code: FHIR type}; `described`: copyright and whatever else is kept of it."""

    url: str
    version: str
    name: str
    records: Iterable[Record]
    properties: Mapping[str, str] = field(default_factory=dict)
    case_sensitive: bool = True
    described: Mapping[str, Any] = field(default_factory=dict)


Read = Callable[[Source, Options, Report], Content]


@dataclass(frozen=True, slots=True)
class Importer:
    """A format. `wanted`: what kind of files it takes, for people; `url`: the system that it is of, if always one."""

    read: Read
    wanted: str
    url: str = ""


def required(option: str | None, found: str, what: str) -> str:
    """What was said, else what was found. Raises `Unprocessable` when neither is there."""
    if not (option or found):
        raise Unprocessable(f"The files do not say {what}. Give it with the import.")
    return option or found
