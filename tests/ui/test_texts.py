"""Every sentence of the pages stands in every language, with the same marks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import nodes

from ui.navigation import NAVIGATION
from ui.page import _PROBLEMS, environment
from ui.reasons import REASONS, STATUSES
from ui.texts import FOLDER, catalog, count_in, translate

LANGUAGES = ("fr", "es", "ar")
_MARK = re.compile(r"%\((\w+)\)s")
_SAYING = {"say", "_", "ngettext", "translate"}


def room_of(path: Path) -> str:
    """The room a file belongs to; "" for those of all rooms."""
    first = path.relative_to(FOLDER).parts[0]
    return first if (FOLDER / first).is_dir() and first not in ("templates", "static", "locales") else ""


def in_python() -> Iterator[tuple[str, str, str | None, str]]:
    """(room, sentence, plural, where) of every call of say() and ngettext() with a literal."""
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "id", None) or getattr(getattr(node, "func", None), "attr", None)
            if not isinstance(node, ast.Call) or name not in ("say", "ngettext"):
                continue
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if texts:
                yield room_of(path), texts[0], texts[1] if name == "ngettext" else None, f"{path.name}:{node.lineno}"


def in_templates() -> Iterator[tuple[str, str, str | None, str]]:
    """The same of every template."""
    for path in sorted(FOLDER.rglob("templates/**/*.html")):
        tree = environment().parse(path.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("_", "ngettext"):
                texts = [each.value for each in call.args if isinstance(each, nodes.Const) and isinstance(each.value, str)]
                if texts:
                    plural = texts[1] if call.node.name == "ngettext" else None
                    yield room_of(path), texts[0], plural, f"{path.name}:{call.lineno}"


def in_tables() -> Iterator[tuple[str, str, str | None, str]]:
    """The same of the tables of all rooms."""
    problems = [text for row in _PROBLEMS.values() for text in row if text]
    for text in (*REASONS.values(), *STATUSES.values(), *problems, *(each.title for each in NAVIGATION)):
        yield "", text, None, "tables"


def every_sentence() -> list[tuple[str, str, str | None, str]]:
    return [*in_python(), *in_templates(), *in_tables()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_missing(language: str) -> None:
    missing = []
    for room, sentence, plural, where in every_sentence():
        known = [catalog(language, room), catalog(language, "")]
        if not any(sentence in (each.many if plural else each.one) for each in known):
            missing.append(f"{room or 'all'} {where}: {sentence!r}")
    assert missing == []


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("locales/*.po")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_marks_are_those_of_the_english_sentence(path: Path) -> None:
    wrong = []
    with open(path, "rb") as file:
        for message in read_po(file, locale=path.stem):
            ids = message.id if isinstance(message.id, tuple) else (message.id,)
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            marks = {mark for each in ids for mark in _MARK.findall(each)}
            for text in texts:
                # A plural may leave its number out: "one person", "two people".
                lacks = marks - set(_MARK.findall(text)) - ({"count"} if len(texts) > 1 else set())
                if message.id and text and (lacks or set(_MARK.findall(text)) - marks):
                    wrong.append(f"{ids[0]!r}: {text!r}")
    assert wrong == []


def test_nothing_stands_in_a_catalog_that_no_page_says() -> None:
    said = {(room, sentence) for room, sentence, _, _ in every_sentence()}
    everywhere = {sentence for _, sentence in said}
    literals = {
        node.value
        for path in FOLDER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    quoted = " ".join(path.read_text(encoding="utf-8") for path in FOLDER.rglob("templates/**/*.html"))
    unused = []
    for path in sorted(FOLDER.glob("*/locales/fr.po")):
        room = path.parts[-3]
        known = catalog("fr", room)
        for sentence in (*known.one, *known.many):
            if (room, sentence) not in said and sentence not in literals and sentence not in everywhere and sentence not in quoted:
                unused.append(f"{room}: {sentence}")
    assert unused == []


def test_a_sentence_without_translation_is_found() -> None:
    assert translate("ar", "desk", "No catalog has this sentence.") == "No catalog has this sentence."
    assert "No catalog has this sentence." not in catalog("ar", "").one


@pytest.mark.parametrize(("count", "text"), [(0, "0 سنة"), (1, "سنة واحدة"), (2, "سنتان"), (7, "7 سنوات"), (11, "11 سنة"), (100, "100 سنة")])
def test_arabic_has_six_plurals(count: int, text: str) -> None:
    assert count_in("ar", "", "%(count)s year", "%(count)s years", count) == text
