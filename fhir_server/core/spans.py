"""Sets of whole numbers as sorted, disjoint ranges: how sets of concepts are held, compared and asked.

The concepts of a code system are numbered so that a hierarchy's branches are runs of numbers; then even the 300,000
concepts below one of them are a few ranges, and union, intersection and difference cost as much as there are ranges.
Beginnings and ends stand in two arrays: 65,000 ranges are half a megabyte, and there at once.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
_MUCH_FEWER = 8
_END = (0, 0)


class Spans:
    """An immutable set of whole numbers of 32 bits."""

    __slots__ = ("_ends", "_starts", "count")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Ranges in any order, overlapping or touching; empty ones are left out."""
        kept = [each for each in ranges if each[0] < each[1]]
        self._unite([low for low, _ in kept], [high for _, high in kept])

    def _unite(self, starts: list[int], ends: list[int]) -> None:
        """Settle on what any of the ranges covers. In order, as many have begun as have ended exactly where a beginning
        is beyond the end of the same place less one: there the next piece begins."""
        starts.sort()
        ends.sort()
        gaps = [place for place, high in enumerate(ends[:-1], 1) if starts[place] > high]
        first, last = starts[:1], ends[-1:]
        first += [starts[place] for place in gaps]
        self._settle(array("i", first), array("i", [*[ends[place - 1] for place in gaps], *last]))

    def _settle(self, starts: "array[int]", ends: "array[int]") -> None:
        self._starts, self._ends = starts, ends
        self.count = sum(ends) - sum(starts)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Spans":
        """The set of these numbers, in any order."""
        return cls((number, number + 1) for number in numbers)

    @classmethod
    def ascending(cls, flat: "array[int]") -> "Spans":
        """The set of ranges as first, last + 1, first, …: ascending, not empty and not touching already."""
        return cls._made(flat[::2], flat[1::2])

    @classmethod
    def _made(cls, starts: "array[int]", ends: "array[int]") -> "Spans":
        found = cls.__new__(cls)
        found._settle(starts, ends)
        return found

    @property
    def ranges(self) -> tuple[Range, ...]:
        """(first, last + 1), ascending, never touching."""
        return tuple(zip(self._starts, self._ends, strict=True))

    @property
    def pieces(self) -> int:
        """How many ranges there are."""
        return len(self._starts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._ends[at]

    def __iter__(self) -> Iterator[int]:
        for low, high in zip(self._starts, self._ends, strict=True):
            yield from range(low, high)

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and self._starts == other._starts and self._ends == other._ends

    def __hash__(self) -> int:
        return hash((self._starts.tobytes(), self._ends.tobytes()))

    def __repr__(self) -> str:
        return f"Spans({list(self.ranges)})"

    def __or__(self, other: "Spans") -> "Spans":
        if not self._starts or not other._starts:
            return self if self._starts else other
        found = Spans.__new__(Spans)
        found._unite([*self._starts, *other._starts], [*self._ends, *other._ends])
        return found

    def __and__(self, other: "Spans") -> "Spans":
        few, many = (self, other) if self.pieces < other.pieces else (other, self)
        if few.pieces * _MUCH_FEWER < many.pieces:
            return few._within(many)
        starts: list[int] = []
        ends: list[int] = []
        mine, theirs = zip(self._starts, self._ends, strict=True), zip(other._starts, other._ends, strict=True)
        low, high = next(mine, _END)
        low_too, high_too = next(theirs, _END)
        # Written out: this is the loop that typing ahead in large code systems waits for.
        while low != high and low_too != high_too:
            if high <= low_too:
                low, high = next(mine, _END)
            elif high_too <= low:
                low_too, high_too = next(theirs, _END)
            else:
                starts.append(low if low > low_too else low_too)
                if high < high_too:
                    ends.append(high)
                    low, high = next(mine, _END)
                else:
                    ends.append(high_too)
                    low_too, high_too = next(theirs, _END)
        return Spans._made(array("i", starts), array("i", ends))

    def _within(self, many: "Spans") -> "Spans":
        """The intersection with a set of many more ranges: those between are taken as they are."""
        starts, ends = array("i"), array("i")
        for low, high in zip(self._starts, self._ends, strict=True):
            first = bisect_right(many._ends, low)
            last = bisect_left(many._starts, high, first)
            if first < last:
                place = len(starts)
                starts += many._starts[first:last]
                ends += many._ends[first:last]
                starts[place] = max(starts[place], low)
                ends[-1] = min(ends[-1], high)
        return Spans._made(starts, ends)

    def __sub__(self, other: "Spans") -> "Spans":
        starts: list[int] = []
        ends: list[int] = []
        lows, highs, size = other._starts, other._ends, other.pieces
        j = 0
        for low, high in zip(self._starts, self._ends, strict=True):
            # Runs of what is not wanted that end before this range are left behind.
            j = bisect_right(highs, low, j)
            k = j
            while k < size and lows[k] < high:
                if low < lows[k]:
                    starts.append(low)
                    ends.append(lows[k])
                low = max(low, highs[k])
                k += 1
            if low < high:
                starts.append(low)
                ends.append(high)
        return Spans._made(array("i", starts), array("i", ends))

    def page(self, offset: int, count: int | None) -> list[int]:
        """The numbers from the `offset`-th on, ascending, at most `count` of them."""
        found: list[int] = []
        left = self.count if count is None else count
        for low, high in zip(self._starts, self._ends, strict=True):
            if left <= 0:
                break
            size = high - low
            if offset >= size:
                offset -= size
                continue
            piece = range(low + offset, min(high, low + offset + left))
            found.extend(piece)
            left -= len(piece)
            offset = 0
        return found

    def places(self, numbers: "array[int]") -> Iterator[slice]:
        """Where in an ascending array those are that are in the set: slices, ascending."""
        if len(numbers) < self.pieces:
            return self._each(numbers)
        return self._runs(numbers)

    def _runs(self, numbers: "array[int]") -> Iterator[slice]:
        first = 0
        for low, high in zip(self._starts, self._ends, strict=True):
            first = bisect_left(numbers, low, first)
            last = bisect_left(numbers, high, first)
            if first < last:
                yield slice(first, last)
            first = last

    def _each(self, numbers: "array[int]") -> Iterator[slice]:
        for place, number in enumerate(numbers):
            if number in self:
                yield slice(place, place + 1)


NONE = Spans()
