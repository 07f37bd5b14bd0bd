"""Numbers for the concepts of a hierarchy, so that a branch is a run of numbers.

Every concept stands in one place, below the first of its parents that a walk from the top comes to. The descendants of
a concept are then its own run, and some ranges outside of it for those who stand elsewhere and have it as a further
parent: `extras`. Those are worked out from the leaves up.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from fhir_server.core.errors import Unprocessable
from fhir_server.core.spans import Range

_NAMED = 10
_HALF = 2**32


@dataclass(frozen=True, slots=True)
class Numbering:
    """Concepts by place in the source (from 0) and by number (from 1).

    children: by place. order: the places by number. number: the numbers by place. end: by place, the number after its
    run. extras: by place, the ranges of descendants that are not in its run, each as one number: its beginning times
    2**32, and its end (two million pairs would cost three times as much)."""

    children: Sequence[Sequence[int]]
    order: "array[int]"
    number: "array[int]"
    end: "array[int]"
    extras: dict[int, list[int]]

    def below(self, place: int) -> list[Range]:
        """The numbers of all descendants: the own run, and what is not in it."""
        first, end = self.number[place] + 1, self.end[place]
        run = [(first, end)] if first < end else []
        return [*run, *map(divmod, self.extras.get(place, ()), repeat(_HALF))]


def numbering(parents: Sequence[Sequence[int]], codes: Sequence[str]) -> Numbering:
    """Number concepts depth first, children in the order of the source. `parents`: by place, each parent once. Raises
    `Unprocessable` for concepts that are above themselves, with their codes."""
    children: list[list[int]] = [[] for _ in parents]
    for place, above in enumerate(parents):
        for parent in above:
            children[parent].append(place)
    upward = _leaves_first(parents, children, codes)
    order, number, end = _walk(parents, children)
    extras: dict[int, list[int]] = {}
    for place in upward:
        found = _extras(children[place], number[place], end[place], number, end, extras)
        if found:
            extras[place] = found
    return Numbering(children, order, number, end, extras)


def _leaves_first(
    parents: Sequence[Sequence[int]], children: Sequence[Sequence[int]], codes: Sequence[str]
) -> list[int]:
    left = [len(below) for below in children]
    ready = [place for place, count in enumerate(left) if not count]
    for place in ready:
        for parent in parents[place]:
            left[parent] -= 1
            if not left[parent]:
                ready.append(parent)
    if len(ready) < len(parents):
        raise Unprocessable(f"The hierarchy goes round in a circle: {' > '.join(_circle(children, left, codes))}.")
    return ready


def _circle(children: Sequence[Sequence[int]], left: Sequence[int], codes: Sequence[str]) -> list[str]:
    place = next(place for place, count in enumerate(left) if count)
    seen: dict[int, int] = {}
    while place not in seen:
        seen[place] = len(seen)
        place = next(child for child in children[place] if left[child])
    circle = [codes[each] for each in list(seen)[seen[place] :]]
    shown = circle if len(circle) <= _NAMED else [*circle[:_NAMED], "…"]
    return [*shown, circle[0]]


def _walk(
    parents: Sequence[Sequence[int]], children: Sequence[Sequence[int]]
) -> tuple["array[int]", "array[int]", "array[int]"]:
    size = len(parents)
    order = array("i")
    number, end = array("i", bytes(4 * size)), array("i", bytes(4 * size))
    for root in (place for place, above in enumerate(parents) if not above):
        order.append(root)
        number[root] = len(order)
        path = [(root, iter(children[root]))]
        while path:
            place, waiting = path[-1]
            for child in waiting:
                if not number[child]:
                    order.append(child)
                    number[child] = len(order)
                    path.append((child, iter(children[child])))
                    break
            else:
                end[place] = len(order) + 1
                path.pop()
    return order, number, end


def _extras(
    children: Sequence[int], first: int, last: int, number: "array[int]", end: "array[int]",
    extras: dict[int, list[int]],
) -> list[int]:  # fmt: skip
    """What the children bring that is not in the run `first` to `last`."""
    found: set[int] = set()
    for child in children:
        if not first < number[child] < last:
            found.add(number[child] * _HALF + end[child])
        if child in extras:
            found.update(extras[child])
    merged: list[int] = []
    lowest, reached = first * _HALF, 0
    for each in sorted(found):
        high = each % _HALF
        if high <= reached or (each > lowest and high <= last):
            continue
        if each // _HALF <= reached:
            each += merged.pop() // _HALF * _HALF - each // _HALF * _HALF
        merged.append(each)
        reached = high
    return merged
