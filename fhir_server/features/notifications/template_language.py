"""The language of message templates: names, a few filters and conditions. It cannot call, loop, look inside or include.

    Your appointment: {{ start|date }} at {{ start|time }}.{% if link %} Details: {{ link }}{% else %} Bye.{% endif %}

A template is compiled into a flat list of steps, so rendering ends after as many steps as the template has. Values are
plain text: they are never read as template, and control characters in them are removed.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

from fhir_server.core.errors import Unprocessable

Value = str | int | datetime

MOST_SOURCE = 4000
MOST_VALUE = 200
_DEPTH = 4
_TAG = re.compile(r"\{\{(?P<value>.*?)\}\}|\{%(?P<statement>.*?)%\}", re.DOTALL)
_STRAY = re.compile(r"\{\{|\{%|\}\}|%\}")
_NAME = re.compile(r"[a-z_]+\Z")
_FSI, _PDI = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
# Where CLDR has no locale for language and country, the one whose habits are nearest.
_NEAREST = {"fr": "fr_FR", "en": "en_GB", "es": "es_ES", "ar": "ar_MA"}
_KIND_TEXT, _KIND_INSTANT = "text", "instant"


@dataclass(frozen=True, slots=True)
class Style:
    """How values are written. language: `fr`; country: `MA` or ""; long: dates with weekday and year in full;
    isolated: each value in marks that keep its direction apart from the text's (Unicode FSI and PDI)."""

    language: str
    country: str = ""
    long: bool = False
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """op: text, value, if, else or endif. what: the literal text, or the name."""

    op: str
    what: str = ""
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template. names: those that it uses."""

    steps: tuple[_Step, ...]
    names: frozenset[str]

    def render(self, values: Mapping[str, Value], style: Style, most: int) -> str:
        """The text, at most `most` characters. Names without a value are empty; a condition does not hold for them, nor
        for 0. Datetimes are shown as they stand, so give them in the reader's zone.

        Raises `Unprocessable` when it would be longer.
        """
        parts: list[str] = []
        length = 0
        shown = [True]
        for step in self.steps:
            if step.op == "if":
                shown.append(_written(values.get(step.what, ""), (), style) not in ("", "0"))
            elif step.op == "else":
                shown[-1] = not shown[-1]
            elif step.op == "endif":
                shown.pop()
            elif all(shown):
                parts.append(step.what if step.op == "text" else _shown(values, step, style))
                length += len(parts[-1])
                if length > most:
                    raise Unprocessable(f"The text is longer than {most} characters.", code="too-long")
        return _tidy("".join(parts))


@lru_cache(maxsize=2048)
def compile_template(source: str, names: tuple[tuple[str, str], ...], at: str = "") -> Template:
    """Check and compile. `names`: (name, `text` or `instant`) of all that may be used; `at`: the element's path.

    Raises `Unprocessable` with line and column for an unknown name or filter, a filter that does not fit, and a tag or
    condition that is not closed.
    """
    if len(source) > MOST_SOURCE:
        raise Unprocessable(
            f"A template has at most {MOST_SOURCE} characters; this one has {len(source)}.",
            expression=at or None,
            code="too-long",
        )
    reader = _Reader(source, dict(names), at)
    steps = tuple(reader.steps())
    return Template(steps, frozenset(step.what for step in steps if step.op in ("value", "if")))


class _Reader:
    def __init__(self, source: str, names: Mapping[str, str], at: str) -> None:
        self._source, self._names, self._at = source, names, at
        # Position of each open condition, and whether its `else` was seen.
        self._open: list[tuple[int, bool]] = []

    def steps(self) -> Iterator[_Step]:
        end = 0
        for match in _TAG.finditer(self._source):
            yield from self._text(end, match.start())
            value = match["value"]
            yield self._value(value, match.start()) if value is not None else self._statement(match)
            end = match.end()
        yield from self._text(end, len(self._source))
        if self._open:
            raise self._wrong(self._open[-1][0], "This {% if … %} has no {% endif %}.")

    def _text(self, start: int, end: int) -> Iterator[_Step]:
        stray = _STRAY.search(self._source, start, end)
        if stray is not None:
            opening = stray[0] in ("{{", "{%")
            raise self._wrong(
                stray.start(), f"This {stray[0]} is not closed." if opening else f"This {stray[0]} closes nothing."
            )
        if end > start:
            yield _Step("text", self._source[start:end])

    def _value(self, inner: str, position: int) -> _Step:
        name, *filters = (part.strip() for part in inner.split("|"))
        kind = self._known(name, position)
        for filter_ in filters:
            if filter_ not in _FILTERS:
                raise self._wrong(position, f"There is no filter {filter_!r}. There are: {', '.join(_FILTERS)}.")
            takes = _FILTERS[filter_][0]
            if takes != kind:
                has = "a date and time" if kind == _KIND_INSTANT else "text"
                raise self._wrong(position, f"The filter {filter_} does not fit: {name} is {has} there.")
            kind = _KIND_TEXT
        return _Step("value", name, tuple(filters))

    def _statement(self, match: re.Match[str]) -> _Step:
        words = (match["statement"] or "").split()
        position = match.start()
        if len(words) == 2 and words[0] == "if":
            self._known(words[1], position)
            if len(self._open) >= _DEPTH:
                raise self._wrong(position, f"Conditions stand at most {_DEPTH} deep.")
            self._open.append((position, False))
            return _Step("if", words[1])
        if words in (["else"], ["endif"]):
            if not self._open:
                raise self._wrong(position, f"This {{% {words[0]} %}} has no {{% if … %}} before it.")
            opened, has_else = self._open.pop()
            if words == ["else"]:
                if has_else:
                    raise self._wrong(position, "This condition has an {% else %} already.")
                self._open.append((opened, True))
            return _Step(words[0])
        raise self._wrong(position, "Between {% and %} stands: if NAME, else, or endif.")

    def _known(self, name: str, position: int) -> str:
        if name not in self._names:
            said = f"There is no {name!r} here." if _NAME.match(name) else "A name is expected here."
            raise self._wrong(position, f"{said} There are: {', '.join(self._names)}.")
        return self._names[name]

    def _wrong(self, position: int, text: str) -> Unprocessable:
        line = self._source.count("\n", 0, position) + 1
        column = position - (self._source.rfind("\n", 0, position) + 1) + 1
        return Unprocessable(f"Line {line}, column {column}: {text}", expression=self._at or None, code="invalid")


def plain(text: str) -> str:
    """One line of text without control characters and marks of direction, at most `MOST_VALUE` characters."""
    spaced = re.sub(r"[\s\u2028\u2029]+", " ", text)
    kept = "".join(sign for sign in spaced if unicodedata.category(sign) not in ("Cc", "Cs", "Co", "Cn"))
    return "".join(sign for sign in kept if sign not in _MARKS).strip()[:MOST_VALUE].rstrip()


# Embeddings, overrides and isolates, with which a value could turn around what stands beside it.
_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff")


def _shown(values: Mapping[str, Value], step: _Step, style: Style) -> str:
    text = _written(values.get(step.what, ""), step.filters, style)
    return f"{_FSI}{text}{_PDI}" if style.isolated and text else text


def _written(value: Value, filters: tuple[str, ...], style: Style) -> str:
    for filter_ in filters:
        if value == "":
            return ""
        value = _FILTERS[filter_][1](value, style)
    if isinstance(value, datetime):
        value = f"{_date(value, style)} {_time(value, style)}"
    return plain(str(value))


def _date(value: Value, style: Style) -> str:
    assert isinstance(value, datetime)
    # Arabic does not shorten months; asked for short ones, Babel gives those of whichever Arabic locale it met first.
    short = "EEE d MMMM" if style.language == "ar" else "EEE d MMM"
    pattern = "EEEE d MMMM y" if style.long else short
    return format_date(value, pattern, locale=_locale(style.language, style.country))


def _time(value: Value, style: Style) -> str:
    assert isinstance(value, datetime)
    wall = value.replace(tzinfo=None)
    # CLDR puts a narrow space before AM and PM, which an SMS in GSM-7 does not have.
    return format_time(wall, "short", locale=_locale(style.language, style.country)).replace("\u202f", " ")


def _upper(value: Value, style: Style) -> str:
    return str(value).upper()


def _first(value: Value, style: Style) -> str:
    """The first word: of `Fatima Zahra El Idrissi`, Fatima."""
    return next(iter(str(value).split()), "")


_FILTERS: Mapping[str, tuple[str, Callable[[Value, Style], str]]] = {
    "date": (_KIND_INSTANT, _date),
    "time": (_KIND_INSTANT, _time),
    "upper": (_KIND_TEXT, _upper),
    "first": (_KIND_TEXT, _first),
}


@lru_cache(maxsize=256)
def _locale(language: str, country: str) -> Locale:
    for name in (f"{language}_{country}" if country else "", _NEAREST.get(language, ""), language):
        try:
            if name:
                return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("fr_FR")


def _tidy(text: str) -> str:
    """Without the blanks and empty lines that conditions leave."""
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.replace("\r\n", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
