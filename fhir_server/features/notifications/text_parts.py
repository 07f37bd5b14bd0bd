"""How many parts an SMS takes, and what could make it fewer.

3GPP TS 23.038 section 6.2.1 (the GSM 7-bit default alphabet and its extension table), TS 23.040 section 9.2.3.24
(concatenation). https://www.etsi.org/deliver/etsi_ts/123000_123099/123038/
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

GSM_7, UCS_2 = "GSM-7", "UCS-2"
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
# Septets or UTF-16 units of a message that is alone, and of each part of one that is cut.
_ROOM = {GSM_7: (160, 153), UCS_2: (70, 67)}
_ALIKE = str.maketrans(
    {
        "’": "'", "‘": "'", "‚": "'", "′": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "″": '"',
        "‹": "'", "›": "'", "–": "-", "—": "-", "‑": "-", "‐": "-", "−": "-", "…": "...", "•": "-", "·": ".",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "œ": "oe", "Œ": "OE", "×": "x", "\t": " ",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measure:
    """What a text takes as SMS. units: septets of GSM-7 or UTF-16 units of UCS-2; forcing: the characters, each once,
    that GSM-7 does not have."""

    encoding: str
    characters: int
    units: int
    parts: int
    forcing: tuple[str, ...] = ()


def measure(text: str) -> Measure:
    """Encoding, length and number of parts. An empty text takes one part."""
    forcing = tuple(dict.fromkeys(sign for sign in text if sign not in _BASIC and sign not in _EXTENSION))
    encoding, width = (UCS_2, _utf16) if forcing else (GSM_7, _septets)
    units = sum(map(width, text))
    return Measure(encoding, len(text), units, _parts(text, width, *_ROOM[encoding], units), forcing)


def in_gsm7(text: str) -> str:
    """The text with what GSM-7 lacks written otherwise: straight quotes, letters without those accents that it does not
    have. Characters with no such writing stay, so that an Arabic text remains what it is."""
    return "".join(_gsm7(sign) for sign in unicodedata.normalize("NFC", text))


def shortest(text: str) -> str:
    """The text, or what `in_gsm7` makes of it where that takes fewer parts."""
    plainer = in_gsm7(text)
    return plainer if measure(plainer).parts < measure(text).parts else text


def _gsm7(sign: str) -> str:
    if sign in _BASIC or sign in _EXTENSION:
        return sign
    alike = sign.translate(_ALIKE)
    if alike == sign:
        alike = "".join(part for part in unicodedata.normalize("NFD", sign) if not unicodedata.combining(part))
    return alike if alike and all(part in _BASIC for part in alike) else sign


def _septets(sign: str) -> int:
    return 2 if sign in _EXTENSION else 1


def _utf16(sign: str) -> int:
    return 2 if ord(sign) > 0xFFFF else 1


def _parts(text: str, width: Callable[[str], int], alone: int, each: int, units: int) -> int:
    if units <= alone:
        return 1
    parts, room = 1, each
    for sign in text:
        # A character of two units (escape and letter, a surrogate pair) is not cut in two.
        if width(sign) > room:
            parts, room = parts + 1, each
        room -= width(sign)
    return parts
