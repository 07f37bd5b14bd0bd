"""Sets of whole numbers as sorted, disjoint ranges: how sets of concepts are held, compared and asked.

The concepts of a code system are numbered so that a hierarchy's branches are runs of numbers; then even the 300,000
concepts below one of them are a few ranges, and union, intersection and difference cost as much as there are ranges.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
_MUCH_FEWER = 8
_END = (0, 0)


class Spans:
    """An immutable set of whole numbers. `ranges`: (first, last + 1), ascending, never touching."""

    __slots__ = ("_starts", "count", "ranges")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Ranges in any order, overlapping or touching; empty ones are left out."""
        merged: list[Range] = []
        for low, high in sorted(each for each in ranges if each[0] < each[1]):
            if merged and low <= merged[-1][1]:
                if high > merged[-1][1]:
                    merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        self._settle(merged)

    def _settle(self, merged: list[Range]) -> None:
        self.ranges = tuple(merged)
        self._starts = [low for low, _ in merged]
        self.count = sum([high for _, high in merged]) - sum(self._starts)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Spans":
        """The set of these numbers, in any order."""
        return cls((number, number + 1) for number in numbers)

    @classmethod
    def ascending(cls, ranges: list[Range]) -> "Spans":
        """The set of ranges that are ascending, not empty and not touching already."""
        return cls._made(ranges)

    @classmethod
    def _made(cls, merged: list[Range]) -> "Spans":
        found = cls.__new__(cls)
        found._settle(merged)
        return found

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self.ranges[at][1]

    def __iter__(self) -> Iterator[int]:
        for low, high in self.ranges:
            yield from range(low, high)

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and self.ranges == other.ranges

    def __hash__(self) -> int:
        return hash(self.ranges)

    def __repr__(self) -> str:
        return f"Spans({list(self.ranges)})"

    def __or__(self, other: "Spans") -> "Spans":
        if not self.ranges or not other.ranges:
            return self if self.ranges else other
        return Spans((*self.ranges, *other.ranges))

    def __and__(self, other: "Spans") -> "Spans":
        few, many = (self, other) if len(self.ranges) < len(other.ranges) else (other, self)
        if len(few.ranges) * _MUCH_FEWER < len(many.ranges):
            return few._within(many)
        found: list[Range] = []
        mine, theirs = iter(self.ranges), iter(other.ranges)
        low, high = next(mine, _END)
        low_too, high_too = next(theirs, _END)
        # Written out: this is the loop that typing ahead in large code systems waits for.
        while low != high and low_too != high_too:
            if high <= low_too:
                low, high = next(mine, _END)
            elif high_too <= low:
                low_too, high_too = next(theirs, _END)
            else:
                found.append((low if low > low_too else low_too, high if high < high_too else high_too))
                if high < high_too:
                    low, high = next(mine, _END)
                else:
                    low_too, high_too = next(theirs, _END)
        return Spans._made(found)

    def _within(self, many: "Spans") -> "Spans":
        """The intersection with a set of many more ranges: those between are taken as they are."""
        found: list[Range] = []
        for low, high in self.ranges:
            first = max(bisect_right(many._starts, low) - 1, 0)
            piece = list(many.ranges[first : bisect_left(many._starts, high, first)])
            if piece and piece[0][1] <= low:
                del piece[0]
            if piece:
                piece[0] = (max(piece[0][0], low), piece[0][1])
                piece[-1] = (piece[-1][0], min(piece[-1][1], high))
            found += piece
        return Spans._made(found)

    def __sub__(self, other: "Spans") -> "Spans":
        found: list[Range] = []
        theirs = other.ranges
        j = 0
        for low, high in self.ranges:
            while j < len(theirs) and theirs[j][1] <= low:
                j += 1
            k = j
            while k < len(theirs) and theirs[k][0] < high:
                if low < theirs[k][0]:
                    found.append((low, theirs[k][0]))
                low = max(low, theirs[k][1])
                k += 1
            if low < high:
                found.append((low, high))
        return Spans._made(found)

    def page(self, offset: int, count: int | None) -> list[int]:
        """The numbers from the `offset`-th on, ascending, at most `count` of them."""
        found: list[int] = []
        left = self.count if count is None else count
        for low, high in self.ranges:
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


NONE = Spans()
