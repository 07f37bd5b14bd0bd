"""Which items of a questionnaire apply, given the answers: enableWhen and enableBehavior. Pure.

https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fhir_server.validation.questionnaires.answer_values import compared, equal, value_name

Json = Mapping[str, Any]
Path = tuple[Json, ...]

# A condition may name a question that itself depends on another, and so on; a circle would never end.
_DEEPEST = 60
_ORDER: Mapping[str, tuple[int, ...]] = {">": (1,), ">=": (1, 0), "<": (-1,), "<=": (-1, 0)}


class Enablement:
    """The conditions of one questionnaire over one response.

    A condition looks for its question in the nearest element around the item that holds one, so that the rows of a
    repeating group do not see one another. Answers to questions that are themselves disabled do not count.
    """

    def __init__(self, questionnaire: Json, response: Json) -> None:
        self._chains = dict(_chains(questionnaire.get("item", ()), ()))
        self._places: dict[str, list[tuple[Json, Path]]] = {}
        for item, path in _places(response, (response,)):
            self._places.setdefault(item.get("linkId", ""), []).append((item, path))
        # The scope is kept with the result: ids are only unique among what is alive.
        self._known: dict[tuple[str, tuple[int, ...]], tuple[bool, Path]] = {}
        self._asking = 0

    def enabled(self, definition: Json, scope: Path) -> bool:
        """Whether an item applies that stands, or would stand, directly in the last element of `scope`."""
        conditions = definition.get("enableWhen", ())
        if not conditions:
            return True
        key = (definition["linkId"], tuple(map(id, scope)))
        known = self._known.get(key)
        if known is not None:
            return known[0]
        if self._asking >= _DEEPEST:
            # In a circle nothing decides; an item is rather asked for than lost.
            return True
        self._asking += 1
        met = (self._met(condition, scope) for condition in conditions)
        result = all(met) if definition.get("enableBehavior") == "all" else any(met)
        self._asking -= 1
        self._known[key] = result, scope
        return result

    def _met(self, condition: Json, scope: Path) -> bool:
        answers = self._answers(condition.get("question", ""), scope)
        name = value_name(condition, "answer")
        wanted = condition.get(name) if name else None
        operator = condition.get("operator")
        if operator == "exists":
            return bool(answers) is wanted
        same = [given for given in answers if name and value_name(given) == "value" + name[len("answer") :]]
        values = [given["value" + name[len("answer") :]] for given in same] if name else []
        if operator == "!=":
            return not any(equal(name or "", value, wanted) for value in values)
        if operator == "=":
            return any(equal(name or "", value, wanted) for value in values)
        return any(compared(name or "", value, wanted) in _ORDER.get(str(operator), ()) for value in values)

    def _answers(self, link: str, scope: Path) -> Sequence[Json]:
        """The answers that count to the nearest question of this linkId."""
        places = self._places.get(link, ())
        for depth in range(len(scope), 0, -1):
            near = [place for place in places if len(place[1]) >= depth and place[1][depth - 1] is scope[depth - 1]]
            if near:
                return [
                    answer
                    for item, path in near
                    if self._applies(link, path)
                    for answer in item.get("answer", ())
                    if value_name(answer)
                ]
        return ()

    def _applies(self, link: str, path: Path) -> bool:
        """Whether a question that stands in the last element of `path` is enabled, and every item around it."""
        chain = self._chains.get(link, ())
        inward = range(len(chain))
        return len(chain) == len(path) and all(self.enabled(chain[n], path[: n + 1]) for n in inward)


def _chains(items: Sequence[Json], above: Path) -> Iterator[tuple[str, Path]]:
    """(linkId, the definitions from the outermost to the item's own)."""
    for item in items:
        yield item["linkId"], (*above, item)
        yield from _chains(item.get("item", ()), (*above, item))


def _places(element: Json, path: Path) -> Iterator[tuple[Json, Path]]:
    """(item, the elements that it stands in, outermost first) of all items below an element: an item stands in the
    response, in a group or in an answer."""
    for item in element.get("item", ()):
        yield item, path
        yield from _places(item, (*path, item))
        for answer in item.get("answer", ()):
            yield from _places(answer, (*path, answer))
