"""Scopes in plain words, in the languages of the pages (profiles/security/scope_words.json)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.authorization_server.rendering import translate
from fhir_server.security.oauth.consent_choice import Item, words_file


@dataclass(frozen=True, slots=True)
class Box:
    """A box to tick on the page. `narrower`: the categories it can be narrowed to, as (value, words)."""

    key: str
    words: str
    letters: str
    narrower: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Boxes that belong together, under a title."""

    title: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """All that an app wants to see, or to change, of one patient (`patient`) or of all that the user may open
    (`user`)."""

    context: str
    changes: bool
    groups: tuple[Group, ...]


def sections(found: Iterable[Item], language: str) -> list[Section]:
    """The boxes as the page shows them: the patient's first, seeing before changing, grouped by subject."""
    made = []
    everything = list(found)
    for context in ("patient", "user"):
        for changes in (False, True):
            own = [item for item in everything if (item.context, item.changes) == (context, changes)]
            if own:
                made.append(Section(context, changes, tuple(_groups(own, language))))
    return made


def type_words(resource_type: str, language: str, query: Sequence[tuple[str, str]] = ()) -> str:
    """What people call a resource type, and what a granular scope limits it to."""
    words = _types(language).get(resource_type, resource_type)
    if not query:
        return words
    limits = [_limit(resource_type, name, value, language) for name, value in query]
    return translate(language, "%(what)s: %(which)s", what=words, which=translate(language, ", ").join(limits))


def item_words(item: Item, language: str) -> str:
    """What an item is about: a type or a bundle, and what a granular scope limits it to."""
    if item.name.startswith("@"):
        return str(words_file()["bundles"][item.name[1:]][_column(language)])
    return type_words(item.name, language, item.query)


def _groups(own: list[Item], language: str) -> Iterable[Group]:
    column = _column(language)
    left = {item.key: item for item in own}
    for group in words_file()["groups"]:
        boxes = [
            _box(left.pop(item.key), language)
            for resource_type in group["types"]
            for item in own
            if item.name == resource_type
        ]
        if boxes:
            yield Group(str(group["title"][column]), tuple(boxes))
    if left:
        # Bundles and technical types need no title: they name themselves.
        yield Group("", tuple(_box(item, language) for item in left.values()))


def _box(item: Item, language: str) -> Box:
    words = {f"{system}|{code}": texts[_column(language)] for system, code, texts in _narrower(item.name)}
    return Box(
        item.key,
        item_words(item, language),
        item.letters,
        tuple((value, str(words[value])) for value in item.categories),
    )


def _limit(resource_type: str, name: str, value: str, language: str) -> str:
    if name == "category":
        for system, code, texts in _narrower(resource_type):
            if value in (f"{system}|{code}", code):
                return str(texts[_column(language)])
    return f"{name} = {value}"


def _narrower(resource_type: str) -> list[tuple[str, str, list[str]]]:
    found: list[tuple[str, str, list[str]]] = words_file()["categories"].get(resource_type, [])
    return found


@lru_cache(maxsize=8)
def _types(language: str) -> dict[str, str]:
    column = _column(language)
    return {name: str(texts[column]) for group in words_file()["groups"] for name, texts in group["types"].items()}


def _column(language: str) -> int:
    languages: list[str] = words_file()["languages"]
    return languages.index(language) if language in languages else 0
