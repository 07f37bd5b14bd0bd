"""A page as a reader meets it: its words, headings, names of fields; and what is wrong with it."""

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser

from ui.texts import FOLDER, catalog

_EMPTY = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_UNREAD = {"script", "style", "code", "pre", "template", "svg", "title", "textarea"}
_SAID = ("aria-label", "title", "placeholder", "alt")
_NAMELESS = {"hidden", "submit", "button", "reset", "image"}
# What a program says when nobody wrote what it should say.
_SLIPS = re.compile(
    r"\{\{|\}\}|\{%|%\(\w+\)s|\bNone\b(?! [a-z])|\bundefined\b|\bNaN\b|\bInvalid Date\b|<\w+ object at|Traceback"
)


@dataclass
class Reader(HTMLParser):
    """Reads one document. `text`: of elements, `said`: of attributes, both without what is code; `headings`: those that
    are not hidden; `open`: the elements around; `hidden`: how deep those begin that are not
    shown, `foreign`: those in another language than the page, whose words are not read."""

    text: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    fields: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    root: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.root = given
        if "id" in given:
            self.ids.append(given["id"])
        if "hidden" in given and tag not in _EMPTY:
            self.hidden.append(len(self.open))
        if given.get("lang", self.root.get("lang")) != self.root.get("lang") and tag not in _EMPTY:
            self.foreign.append(len(self.open))
        if re.fullmatch(r"h[1-6]", tag) and not self.hidden:
            self.headings.append(int(tag[1]))
        if tag == "label" and "for" in given:
            self.labels.add(given["for"])
        if tag in ("input", "select", "textarea") and given.get("type") not in _NAMELESS:
            self.fields.append((tag, {**given, **({"in-label": "1"} if "label" in self.open else {})}))
        self.said += [given[name] for name in _SAID if given.get(name, "").strip()]
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and tag in self.open and self.open.pop() != tag:
            pass
        for begun in (self.hidden, self.foreign):
            while begun and begun[-1] >= len(self.open):
                begun.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.foreign and not _UNREAD.intersection(self.open):
            self.text.append(" ".join(data.split()))


def read(html: str) -> Reader:
    """A document or a fragment."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@lru_cache(maxsize=8)
def english(language: str) -> frozenset[str]:
    """Sentences that stand for themselves in English only: of all catalogs, where the translation is another."""
    rooms = ["", *(path.parts[-3] for path in FOLDER.glob("*/locales/fr.po"))]
    same = {text for room in rooms for sentence, text in catalog(language, room).one.items() if sentence == text}
    every = {sentence for room in rooms for sentence in catalog(language, room).one}
    translations = {text for room in rooms for text in catalog(language, room).one.values()}
    return frozenset(each for each in every - same - translations if " " in each and "%(" not in each)


def faults(html: str, language: str, *, whole: bool) -> list[str]:
    """What is wrong with a page in a language. `whole`: a document, not a fragment."""
    page = read(html)
    words = [*page.text, *page.said]
    found = [f"says {each[:80]!r}" for each in words if _SLIPS.search(each)]
    if language != "en":
        found += [f"not translated: {each!r}" for each in words if each in english(language)]
    found += [f"id {name!r} twice" for name, times in Counter(page.ids).items() if times > 1]
    for tag, given in page.fields:
        named = given.get("id") in page.labels or {"in-label", "aria-label", "aria-labelledby", "title"} & given.keys()
        if not named and whole:
            found.append(f"no label: {tag} {given.get('name') or given.get('id')}")
    if whole:
        direction = "rtl" if language == "ar" else "ltr"
        if (page.root.get("lang"), page.root.get("dir")) != (language, direction):
            found.append(f"lang, dir: {page.root.get('lang')}, {page.root.get('dir')}")
        if page.headings.count(1) != 1:
            found.append(f"{page.headings.count(1)} h1")
        for before, after in zip(page.headings, page.headings[1:], strict=False):
            if after > before + 1:
                found.append(f"h{before} is followed by h{after}")
    return found
