"""Bars as SVG: where each stands and how high it is. Pages draw them, and say the same in a table."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, FLOOR = 720, 220, 24
_TOP = 16


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a group. `kind`: which of the group's values it shows, from 0."""

    x: float
    y: float
    width: float
    height: float
    kind: int
    value: int


@dataclass(frozen=True, slots=True)
class Group:
    """The bars above one label. `middle`: where the label stands."""

    label: str
    middle: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """`lines`: heights of the grid with their numbers."""

    groups: tuple[Group, ...]
    lines: tuple[tuple[float, int], ...]
    width: int = WIDTH
    height: int = HEIGHT
    floor: int = HEIGHT - FLOOR


def bars(rows: Sequence[tuple[str, Sequence[int]]]) -> Chart:
    """The chart of these rows: label and values, as many in each."""
    most = max([value for _, values in rows for value in values], default=0)
    step = _step(most)
    top = max(step, -(-most // step) * step)
    left, inner = 34, HEIGHT - FLOOR - _TOP
    lines = tuple((HEIGHT - FLOOR - inner * at / top, at) for at in range(0, top + 1, step))
    if not rows:
        return Chart((), lines)
    each = (WIDTH - left) / len(rows)
    groups = []
    for number, (label, values) in enumerate(rows):
        start = left + number * each
        width = min(28.0, each * 0.76 / max(1, len(values)))
        first = start + (each - width * len(values)) / 2
        made = tuple(
            Bar(round(first + n * width, 1), round(HEIGHT - FLOOR - inner * value / top, 1), round(width - 1.5, 1),
                round(inner * value / top, 1), n, value)
            for n, value in enumerate(values)
        )  # fmt: skip
        groups.append(Group(label, round(start + each / 2, 1), made))
    return Chart(tuple(groups), lines)


def _step(most: int) -> int:
    """The distance of the grid's lines: about four of them, at round numbers."""
    size = 1
    while most > size * 4:
        size = size * 2 if str(size)[0] != "2" else size * 5 // 2
    return size
