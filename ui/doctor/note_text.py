"""A visit's note as a Composition: five sections of plain text.

Why Composition: it is R4's signed clinical document in sections, and its status says just what happens to a note
(`preliminary` while it is written, `final` when signed, `amended` afterwards), with every version in the history.
ClinicalImpression has no place for examination or plan as text, DocumentReference only points at a file.
https://hl7.org/fhir/R4/composition.html
"""

import difflib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from ui.doctor.concepts import LOINC, Resource, concept, refers

TYPE = concept(LOINC, "11506-3", "Progress note")
# Form field, LOINC code and display, English sentence id of the label.
SECTIONS = (
    ("reason", "10154-3", "Chief complaint Narrative - Reported", "Reason for the visit"),
    ("history", "10164-2", "History of Present illness Narrative", "History"),
    ("examination", "29545-1", "Physical findings Narrative", "Examination"),
    ("assessment", "51848-0", "Evaluation note", "Assessment"),
    ("plan", "18776-5", "Plan of care note", "Plan"),
)
LONGEST = 20_000
_XHTML = "http://www.w3.org/1999/xhtml"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a section: pieces of text, each with `same`, `added` or `removed`."""

    label: str
    pieces: tuple[tuple[str, str], ...]


def composition(
    sections: Mapping[str, str], *, title: str, titles: Mapping[str, str], status: str, date: str, about: Resource
) -> Resource:
    """A note. `about`: subject, encounter, author; `titles`: of the sections, in the language of the note."""
    return {
        "resourceType": "Composition",
        "status": status,
        "type": TYPE,
        "date": date,
        "title": title,
        **about,
        "section": [
            {"title": titles[name], "code": concept(LOINC, code, display), "text": _narrative(sections[name])}
            for name, code, display, _ in SECTIONS
            if sections.get(name, "").strip()
        ],
    }


def sections_of(note: Mapping[str, Any] | None) -> dict[str, str]:
    """The text of each section of a note, by field; "" where there is none."""
    by_code = {}
    for section in (note or {}).get("section", ()):
        for each in section.get("code", {}).get("coding", ()):
            by_code[each.get("code")] = text_of(section.get("text", {}).get("div", ""))
    return {name: by_code.get(code, "") for name, code, _, _ in SECTIONS}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """What is different between two versions of a note, section by section, word by word."""
    found = []
    for name, _, _, label in SECTIONS:
        if before.get(name, "") != after.get(name, ""):
            found.append(Change(label, tuple(_pieces(before.get(name, ""), after.get(name, "")))))
    return found


def signed_by(note: Resource, author: Resource, moment: str) -> None:
    """Add to a note who vouches for it, and when."""
    note.setdefault("attester", []).append({"mode": "professional", "time": moment, "party": author})
    authors: list[Resource] = note.setdefault("author", [])
    if author["reference"] not in [each.get("reference") for each in authors]:
        authors.append(refers(author["reference"], author.get("display", "")))


def text_of(div: str) -> str:
    """The text of a narrative, with its lines."""
    reader = _Reader()
    reader.feed(div)
    reader.close()
    return "".join(reader.parts).strip("\n")


def _narrative(text: str) -> Resource:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    # XHTML takes no control characters.
    shown = "<br/>".join(html.escape("".join(c for c in line if c == "\t" or c.isprintable())) for line in lines)
    return {"status": "generated", "div": f'<div xmlns="{_XHTML}"><p>{shown}</p></div>'}


def _pieces(before: str, after: str) -> list[tuple[str, str]]:
    old, new = _words(before), _words(after)
    found: list[tuple[str, str]] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(("same", "".join(old[a:b])))
            continue
        if b > a:
            found.append(("removed", "".join(old[a:b])))
        if d > c:
            found.append(("added", "".join(new[c:d])))
    return found


def _words(text: str) -> Sequence[str]:
    """Words with the white space behind them; a long text by lines, so that a comparison stays quick."""
    if len(text) > 4000:
        return text.splitlines(keepends=True)
    found: list[str] = []
    for each in text:
        if found and (each.isspace() or not found[-1][-1].isspace()):
            found[-1] += each
        else:
            found.append(each)
    return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag in ("br", "li"):
            self.parts.append("\n")
        elif tag == "p" and self.parts:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
