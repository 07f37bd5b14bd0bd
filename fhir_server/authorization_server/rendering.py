"""Templates and texts of the pages. No request is known here.

Texts are gettext catalogs (`locales/*.po`), read when the process first renders a page; the message id is the English
sentence. Marks like `%(name)s` in it are filled from the arguments of `_()`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined

LANGUAGES = {"fr": "Français", "en": "English", "es": "Español", "ar": "العربية"}
FOLDER = Path(__file__).parent
_STATIC = FOLDER / "static"
_BROWSERS = (
    ("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("HeadlessChrome", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def first_known(tags: Iterable[str]) -> str:
    """The first of these BCP 47 tags whose language there are pages in; "" when there is none."""
    for tag in tags:
        code = re.split("[-_]", tag.strip().lower(), maxsplit=1)[0]
        if code in LANGUAGES:
            return code
    return ""


@lru_cache(maxsize=8)
def texts(language: str) -> Mapping[str, str]:
    """The catalog of a language: English sentence to translation."""
    with open(FOLDER / "locales" / f"{language}.po", "rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id and m.string}


def translate(language: str, message: str, **values: object) -> str:
    """A sentence in a language, with its marks filled; the English one when the catalog has none."""
    text = texts(language).get(message, message)
    return text % values if values else text


def render(template: str, language: str, zone: str, **values: Any) -> str:
    """A template of `templates/` in a language, with times in an IANA zone."""
    return _environment().get_template(template).render(
        _=partial(translate, language),
        when=partial(when, language, zone),
        asset=asset,
        language=language,
        direction="rtl" if language == "ar" else "ltr",
        **values,
    )  # fmt: skip


def when(language: str, zone: str, seconds: int) -> str:
    """A moment (seconds since 1970) for people, by the clock of a place."""
    pattern = "d MMM y، HH:mm" if language == "ar" else "d MMM y, HH:mm"
    return format_datetime(datetime.fromtimestamp(seconds, ZoneInfo(zone)), pattern, locale=language)


@lru_cache(maxsize=32)
def asset(name: str) -> str:
    """The name of a static file with its version, to be put after `/t/{slug}/oauth/static/`."""
    return f"{name}?v={sha256((_STATIC / name).read_bytes()).hexdigest()[:12]}"


def device(agent: str) -> str:
    """Browser and system of a User-Agent header: `Firefox · Linux`."""
    found = [next((name for mark, name in table if mark in agent), "") for table in (_BROWSERS, _SYSTEMS)]
    return " · ".join(part for part in found if part)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
