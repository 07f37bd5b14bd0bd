"""Whether definitions that name each other go in a circle. Each is looked at once, however many lead to it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Find = Callable[[str, str], dict[str, Any] | None]
# (what it is, `url|version`; the canonicals that it names).
_Named = tuple[str, list[str]]


class Circles:
    """One kind of naming: `of_type` is the type of the definitions, `named` gives the canonicals that one rests on."""

    def __init__(self, of_type: str, named: Callable[[Mapping[str, Any]], Iterator[str]], find: Find) -> None:
        self._type, self._named, self._find = of_type, named, find
        self._known: dict[str, _Named | None] = {}
        self._sound: set[str] = set()

    def leads_back(self, content: Mapping[str, Any]) -> bool:
        """Whether what this rests on comes back to something on the way."""
        name, targets = self._described(content)
        path, waiting = {name}, [(name, iter(targets))]
        while waiting:
            name, rest = waiting[-1]
            for canonical in rest:
                found = self._look(canonical)
                if found is None or found[0] in self._sound:
                    continue
                if found[0] in path:
                    return True
                path.add(found[0])
                waiting.append((found[0], iter(found[1])))
                break
            else:
                waiting.pop()
                path.discard(name)
                self._sound.add(name)
        return False

    def _look(self, canonical: str) -> _Named | None:
        if canonical not in self._known:
            found = self._find(self._type, canonical)
            self._known[canonical] = None if found is None else self._described(found)
        return self._known[canonical]

    def _described(self, content: Mapping[str, Any]) -> _Named:
        return f"{content.get('url')}|{content.get('version', '')}", list(self._named(content))


def bases(content: Mapping[str, Any]) -> Iterator[str]:
    """What a StructureDefinition is made of."""
    if content.get("baseDefinition"):
        yield content["baseDefinition"]


def included(content: Mapping[str, Any]) -> Iterator[str]:
    """The value sets that a ValueSet is made of."""
    compose = content.get("compose", {})
    for part in (*compose.get("include", ()), *compose.get("exclude", ())):
        yield from part.get("valueSet", ())
