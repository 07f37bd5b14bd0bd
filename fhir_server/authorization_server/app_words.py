"""What a connected app may do, in a few lines of plain words."""

from collections.abc import Iterable

from fhir_server.authorization_server import scope_words
from fhir_server.authorization_server.rendering import translate
from fhir_server.security.scopes import Scope, parse_scope

_SEES, _CHANGES = frozenset("rs"), frozenset("cud")
LINES = {
    "sees": "May see: %(what)s",
    "changes": "May change: %(what)s",
    "all": "the whole record",
    "away": "Stays connected when you are away",
}


def lines(scopes: Iterable[str], language: str) -> list[str]:
    """The scopes of an app in words: what it sees, what it changes, whether it stays."""
    given = list(scopes)
    rights = [right for right in map(parse_scope, given) if right is not None]
    found = []
    for letters, line in ((_SEES, "sees"), (_CHANGES, "changes")):
        some = [right for right in rights if letters & set(right.letters)]
        whole = {right.context for right in some if right.type == "*"}
        # What is part of a whole record goes without saying.
        said = (right for right in some if right.type == "*" or right.context not in whole)
        words = dict.fromkeys(_word(right, language) for right in said)
        if words:
            found.append(translate(language, LINES[line], what=translate(language, "; ").join(words)))
    if "offline_access" in given:
        found.append(translate(language, LINES["away"]))
    return found


def _word(right: Scope, language: str) -> str:
    if right.type == "*":
        return translate(language, LINES["all"])
    return scope_words.type_words(right.type, language, right.query)
