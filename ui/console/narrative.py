"""The narrative of a resource as plain text: what is in its XHTML that people read, and nothing that a browser could
run."""

import re
from html.parser import HTMLParser
from typing import Any

_BLOCKS = frozenset({"p", "div", "br", "li", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol"})
_CELLS = frozenset({"td", "th"})
_SPACE = re.compile(r"\s+")
_MOST = 20_000


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden += 1
        self.pieces.append("\n" if tag in _BLOCKS else "\t" if tag in _CELLS else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        self.pieces.append("\n" if tag in _BLOCKS else "")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(_SPACE.sub(" ", data))


def narrative(resource: Any) -> str:
    """The text of `text.div`; "" where there is none."""
    div = resource.get("text", {}).get("div", "") if isinstance(resource.get("text"), dict) else ""
    reader = _Text()
    reader.feed(str(div)[:_MOST])
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.pieces).splitlines()]
    return "\n".join(line for line in lines if line)
