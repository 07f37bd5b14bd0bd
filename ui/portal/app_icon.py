"""The app's icon as PNG, drawn where it is asked for: the clinic's colour with a heart in it. No image library."""

import struct
import zlib
from functools import lru_cache

SIZES = (180, 192, 512)
# Samples along a pixel's side: what lies on an edge is mixed.
_SAMPLES = 3


@lru_cache(maxsize=32)
def png(size: int, colour: str, *, whole: bool) -> bytes:
    """An icon of `size` pixels in a colour (`#rrggbb`). `whole`: the colour goes to the edges, for systems that cut
    their own shape out of it (maskable); else it is a square with round corners."""
    ground = tuple(int(colour[n : n + 2], 16) for n in (1, 3, 5))
    # The colour table: 0 to 9 from nothing to the ground, 10 to 19 from the ground to white.
    steps = _SAMPLES * _SAMPLES
    palette = [*(ground for _ in range(steps + 1)), *(_mixed(ground, n / steps) for n in range(steps + 1))]
    alpha = bytes([round(255 * n / steps) for n in range(steps + 1)] + [255] * (steps + 1))
    scale = 0.62 if whole else 0.74
    rows = b"".join(b"\0" + _row(y, size, scale, whole) for y in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        _chunk(b"IHDR", header), _chunk(b"PLTE", b"".join(bytes(each) for each in palette)), _chunk(b"tRNS", alpha),
        _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""),
    ))  # fmt: skip


def _mixed(ground: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(each + (255 - each) * share) for each in ground)


def _row(y: int, size: int, scale: float, whole: bool) -> bytes:
    """The colour numbers of a line of pixels. Each line of samples meets the shapes in spans."""
    steps = _SAMPLES * _SAMPLES
    inked, covered = [0] * size, [0] * size
    for sample in range(_SAMPLES):
        v = (y + (sample + 0.5) / _SAMPLES) / size
        _add(covered, (0.0, 1.0) if whole else _square(v), size)
        for span in _heart((v - 0.5) / scale):
            _add(inked, (0.5 + span[0] * scale, 0.5 + span[1] * scale), size)
    return bytes(steps + 1 + ink if ink else cover for ink, cover in zip(inked, covered, strict=True))


def _add(counts: list[int], span: tuple[float, float] | None, size: int) -> None:
    """Count the samples of a line that lie in a span of 0 to 1."""
    if span is None:
        return
    first, last = (max(0, min(round(edge * size * _SAMPLES), size * _SAMPLES)) for edge in span)
    for pixel in range(first // _SAMPLES, min(-(-last // _SAMPLES), size)):
        begin = pixel * _SAMPLES
        counts[pixel] += min(last, begin + _SAMPLES) - max(first, begin)


def _square(v: float) -> tuple[float, float]:
    """Where a line at height `v` lies in a square with round corners."""
    radius = 0.22
    beyond = max(radius - v, v - (1 - radius), 0.0)
    inset = radius - (radius**2 - beyond**2) ** 0.5
    return inset, 1 - inset


def _heart(v: float) -> list[tuple[float, float]]:
    """Where a line lies in a heart around 0, a bit less than 1 wide: (x² + y² - 1)³ = x²y³, solved by trying."""
    y = -(v * 2.45 - 0.12)
    found, begin = [], None
    steps = 240
    for n in range(steps + 1):
        x = -1.25 + 2.5 * n / steps
        inside = (x * x + y * y - 1) ** 3 - x * x * y**3 <= 0
        if inside and begin is None:
            begin = x
        elif not inside and begin is not None:
            found.append((begin / 2.45, x / 2.45))
            begin = None
    return found


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
