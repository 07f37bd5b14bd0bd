"""A resource as JSON for people: indented, long parts folded, references to follow. Everything in it is text."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from markupsafe import Markup, escape

from fhir_server.core.resource_json import encode

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[A-Za-z0-9.\-]{1,64})?\Z")
# Parts with more lines than this are folded, but for the first level.
_FOLD = 24
_LONG = 400
_MOST_ITEMS = 200


def pretty(value: Any) -> str:
    """JSON text with two spaces of indentation; numbers as they were written."""
    return msgspec.json.format(encode(value), indent=2).decode()


def rendered(resource: Any, console: str) -> Markup:
    """The resource as HTML. `console`: the URL below which resources are shown."""
    return Markup('<div class="json" dir="ltr" lang="en">%s</div>') % Markup("").join(_value(resource, console, 0))


def _value(value: Any, console: str, depth: int, name: str = "", comma: str = "") -> Iterator[Markup]:
    if isinstance(value, dict):
        yield from _block("{", "}" + comma, [(key, each) for key, each in value.items()], console, depth)
    elif isinstance(value, list):
        yield from _block("[", "]" + comma, [("", each) for each in value], console, depth)
    elif isinstance(value, str):
        yield _text(value, console, name) + comma
    else:
        kind = "literal" if value is None or isinstance(value, bool) else "number"
        yield Markup('<span class="%s">%s</span>%s') % (kind, encode(value).decode(), comma)


def _block(opening: str, closing: str, rows: list[tuple[str, Any]], console: str, depth: int) -> Iterator[Markup]:
    """An object or array. `closing`: with the comma behind it, which must stand in the part that is unfolded."""
    if not rows:
        yield escape(opening + closing)
        return
    lines = sum(_lines(each) for _, each in rows)
    folded = depth > 0 and lines > _FOLD
    yield Markup("<details%s><summary>%s <span class='fold-note'>%s</span></summary><ul>") % (
        Markup("") if folded else Markup(" open"), opening, f"… {len(rows)} {closing}",
    )  # fmt: skip
    for number, (key, each) in enumerate(rows[:_MOST_ITEMS]):
        yield Markup("<li>")
        if key:
            yield Markup('<span class="key">"%s"</span>: ') % key
        yield from _value(each, console, depth + 1, key, "," if number < len(rows) - 1 else "")
        yield Markup("</li>")
    if len(rows) > _MOST_ITEMS:
        yield Markup("<li class='fold-note'>… %s</li>") % (len(rows) - _MOST_ITEMS)
    yield Markup("</ul>%s</details>") % closing


def _text(value: str, console: str, name: str) -> Markup:
    shown = encode(value).decode()
    match = _LOCAL.match(value) if name == "reference" else None
    if match:
        return Markup('<a class="text" href="%s/%s/%s">%s</a>') % (console, match[1], match[2], shown)
    if len(shown) > _LONG:
        begin = Markup('<details class="long"><summary><span class="text">%s…</span></summary>') % shown[:80]
        return begin + Markup('<span class="text">%s</span></details>') % shown
    return Markup('<span class="text">%s</span>') % shown


def _lines(value: Any) -> int:
    if isinstance(value, dict):
        return 2 + sum(_lines(each) for each in value.values())
    return 2 + sum(_lines(each) for each in value) if isinstance(value, list) else 1
