"""Contrast of colours, and how a clinic's own colour is made readable. Pure.

https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
"""

import re

TEXT, SHAPE = 4.5, 3.0
WHITE, BLACK = "#ffffff", "#000000"
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})\Z", re.IGNORECASE)

Rgb = tuple[int, int, int]


def parse(text: str) -> Rgb | None:
    """Red, green and blue (0 to 255) of `#rgb` or `#rrggbb`; None for anything else."""
    if not _HEX.match(text):
        return None
    digits = text[1:] if len(text) == 7 else "".join(each * 2 for each in text[1:])
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21. Raises ValueError for what is no colour."""
    lights = sorted((_luminance(_known(one)), _luminance(_known(other))), reverse=True)
    return (lights[0] + 0.05) / (lights[1] + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    """So much (0 to 1) of the first colour with the rest of the second, as CSS `color-mix(in srgb, …)` does it."""
    pairs = zip(_known(one), _known(other), strict=True)
    return _hex([a * share + b * (1 - share) for a, b in pairs])


def readable(colour: str, ground: str, least: float = TEXT) -> str:
    """The colour if it stands out enough from a ground, else the nearest of its shades that does: darker on a light
    ground, lighter on a dark one. The contrast of black or white on the ground is the most that is reached."""
    plain = _hex(_known(colour))
    if contrast(plain, ground) >= least:
        return plain
    end = max((BLACK, WHITE), key=lambda each: contrast(each, ground))
    low, high = 0.0, 1.0
    # Mixing with the end moves the luminance one way only; twelve halvings are finer than 8 bits.
    for _ in range(12):
        share = (low + high) / 2
        if contrast(mixed(end, plain, share), ground) >= least:
            high = share
        else:
            low = share
    return mixed(end, plain, high)


def ink_on(colour: str, dark: str = "#06211e", light: str = WHITE) -> str:
    """The one of two inks that is read better on a colour."""
    return max((dark, light), key=lambda each: contrast(each, colour))


def _known(text: str) -> Rgb:
    found = parse(text)
    if found is None:
        raise ValueError(f"{text!r} is no colour of the form #rrggbb")
    return found


def _luminance(colour: Rgb) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _hex(parts: "list[float] | Rgb") -> str:
    return "#" + "".join(f"{min(max(round(part), 0), 255):02x}" for part in parts)
