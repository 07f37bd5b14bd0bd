"""The colours of `static/app.css`, read from the file: what the design system shows and its tests compute with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ui.colours import SHAPE, TEXT, contrast, mixed, parse

_SHEET = Path(__file__).resolve().parents[1] / "static" / "app.css"
_TOKEN = re.compile(r"--([a-z-]+):\s*(#[0-9a-fA-F]{3,6})\b")
# Ink, what it stands on, and how much contrast that needs: every pair that app.css makes.
PAIRS = (
    *((ink, ground, TEXT) for ink in ("ink", "soft", "info", "bad") for ground in ("ground", "surface")),
    *((kind, f"{kind}-soft", TEXT) for kind in ("ok", "info", "warn", "bad")),
    ("salam-on-accent", "salam-accent", TEXT), ("salam-accent", "surface", SHAPE), ("salam-accent", "ground", SHAPE),
    ("ink", "accent-soft", TEXT), ("soft", "accent-soft", TEXT), ("edge", "surface", SHAPE), ("edge", "ground", SHAPE),
    ("info", "accent-soft", SHAPE),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """Contrast of a pair in both appearances. `needed`: the least."""

    name: str
    needed: float
    light: float
    dark: float


@lru_cache(maxsize=2)
def tokens(dark: bool) -> Mapping[str, str]:
    """The colours by name, without `--`."""
    text = _SHEET.read_text(encoding="utf-8")
    light = dict(_TOKEN.findall(_block(text, ":root {")))
    found = {**light, **dict(_TOKEN.findall(_block(text, '[data-bs-theme="dark"] {')))} if dark else light
    return {**found, "accent-soft": mixed(found["salam-accent"], found["surface"], 0.12)}


def pairs() -> list[Pair]:
    """Every pair with its contrasts, rounded down to two places."""
    found = []
    for ink, ground, needed in PAIRS:
        light, dark = (int(contrast(each[ink], each[ground]) * 100) / 100 for each in (tokens(False), tokens(True)))
        found.append(Pair(f"{ink} / {ground}", needed, light, dark))
    return found


def _block(text: str, start: str) -> str:
    found = text.partition(start)[2].partition("}")[0]
    assert all(parse(value) for _, value in _TOKEN.findall(found))
    return found
