"""Sentences in the person's language.

Catalogs are gettext files: `ui/{room}/locales/{language}.po` for a room, `ui/locales/{language}.po` for all. The id of
a message is the English sentence; marks like `%(name)s` in it are filled from the arguments.
"""

import gettext
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from flask import g, has_request_context, request

from fhir_server.authorization_server import browser

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Catalog:
    """The sentences of one file. `many`: the forms of those that count, in the order of the language's plurals."""

    one: Mapping[str, str] = field(default_factory=dict)
    many: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plural: Callable[[int], int] = lambda count: int(count != 1)


@lru_cache(maxsize=256)
def catalog(language: str, room: str) -> Catalog:
    """The catalog of a room ("" for the one of all rooms) in a language; an empty one where there is no file."""
    path = FOLDER / room / "locales" / f"{language}.po"
    if not path.exists():
        return Catalog()
    with open(path, "rb") as file:
        read = read_po(file, locale=language)
    one, many = {}, {}
    for message in read:
        if not message.id or message.fuzzy:
            continue
        forms = [message.string] if isinstance(message.string, str) else list(message.string or ())
        if not all(forms):
            continue
        if isinstance(message.id, tuple):
            many[str(message.id[0])] = tuple(_set(language, text) for text in forms)
        else:
            one[str(message.id)] = _set(language, forms[0])
    return Catalog(one, many, _plural(read.plural_expr))


def _set(language: str, text: str) -> str:
    """French has a space before these marks and none that breaks there; a keyboard has only the one that does."""
    return re.sub("(?<=«) | (?=[:;!?»])", "\u00a0", text) if language == "fr" else text


def _plural(expression: str) -> Callable[[int], int]:
    chosen: Callable[[int], int] = gettext.c2py(expression)
    return chosen


def language() -> str:
    """The language of this request: fr, en, es or ar."""
    if "ui_language" not in g:
        g.ui_language = browser.language(g.tenant.slug) if "tenant" in g else "fr"
    return str(g.ui_language)


def room() -> str:
    """The room whose page is asked for; "" outside of one."""
    name = (request.blueprint or "") if has_request_context() else ""
    return name.removeprefix("ui-").partition("+")[0]


def say(sentence: str, **values: Any) -> str:
    """A sentence in the language of this request, with its marks filled."""
    return translate(language(), room(), sentence, **values)


def translate(language: str, room: str, sentence: str, **values: Any) -> str:
    """A sentence in a language; the English one when no catalog has it."""
    text = catalog(language, room).one.get(sentence) or catalog(language, "").one.get(sentence, sentence)
    return text % values if values else text


def ngettext(singular: str, plural: str, count: int, **values: Any) -> str:
    """The sentence for so many, with `%(count)s` filled."""
    return count_in(language(), room(), singular, plural, count, **values)


def count_in(language: str, room: str, singular: str, plural: str, count: int, **values: Any) -> str:
    """`ngettext` in a language."""
    for each in (catalog(language, room), catalog(language, "")):
        forms = each.many.get(singular)
        if forms:
            text = forms[min(each.plural(count), len(forms) - 1)]
            break
    else:
        text = singular if count == 1 else plural
    return text % {"count": count, **values}
