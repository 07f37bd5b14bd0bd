"""The history of a resource, and what changed from one version to another."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any
from urllib.parse import parse_qsl

from flask import request
from flask.typing import ResponseReturnValue

from ui import fhir
from ui.console.curl import command
from ui.console.json_view import pretty
from ui.console.place import bp
from ui.console.searching import known_type
from ui.fhir import Refused
from ui.page import page, part

_AROUND = 3
_MOST_LINES = 4000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison. `kind`: same, gone, new, or gap (lines that are left out)."""

    kind: str
    before: int
    after: int
    text: str


@bp.get("/<resource_type>/<resource_id>/_history")
def history(slug: str, resource_type: str, resource_id: str) -> ResponseReturnValue:
    """The versions, the latest first, and the comparison of two of them (`from`, `to`)."""
    known_type(resource_type)
    path = f"{resource_type}/{resource_id}"
    asked = [pair for pair in parse_qsl(request.args.get("page", "")) if pair[0] == "_cursor"] or [("_count", "50")]
    bundle = fhir.history(path, asked)
    rows = [_row(each) for each in bundle.get("entry", ())]
    following = next((link["url"] for link in bundle.get("link", ()) if link.get("relation") == "next"), "")
    numbers = [row["version"] for row in rows if not row["deleted"]]
    chosen = request.args.get("to") or (numbers[0] if numbers else "")
    earlier = [number for number in numbers if number != chosen]
    before = request.args.get("from") or next((n for n in earlier if _less(n, chosen)), "")
    values: dict[str, Any] = {
        "type": resource_type, "id": resource_id, "rows": rows, "next": following.partition("?")[2], "to": chosen,
        "from_": before, "lines": _compared(path, before, chosen), "curl": command("GET", f"{path}/_history"),
    }  # fmt: skip
    if request.headers.get("HX-Request"):
        return part("console/_diff.html", **values)
    return page("console/history.html", **values)


def _less(one: str, other: str) -> bool:
    return one.isdigit() and other.isdigit() and int(one) < int(other)


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    resource = entry.get("resource", {})
    meta = resource.get("meta", {})
    method = str(entry.get("request", {}).get("method", ""))
    tag = str(entry.get("response", {}).get("etag", "")).removeprefix("W/").strip('"')
    when = meta.get("lastUpdated") or entry.get("response", {}).get("lastModified", "")
    return {"version": str(meta.get("versionId") or tag), "when": when, "method": method, "deleted": method == "DELETE"}


def _compared(path: str, before: str, after: str) -> list[Line]:
    if not (before.isalnum() and after.isalnum()):
        return []
    texts = []
    for found in fhir.gather([f"{path}/_history/{before}", f"{path}/_history/{after}"]):
        if isinstance(found, Refused):
            return []
        texts.append(pretty(_content(found)).splitlines()[:_MOST_LINES])
    return compared(texts[0], texts[1])


def _content(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource without what differs in any two versions."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return {**rest, "meta": meta} if meta else rest


def compared(before: list[str], after: list[str]) -> list[Line]:
    """What differs, line by line, with a few lines around."""
    lines: list[Line] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [Line("gone", n + 1, 0, before[n]) for n in range(a, b)]
            lines += [Line("new", 0, n + 1, after[n]) for n in range(c, d)]
            continue
        same = [Line("same", a + n + 1, c + n + 1, before[a + n]) for n in range(b - a)]
        head = 0 if a == 0 else _AROUND
        tail = 0 if b == len(before) else _AROUND
        if len(same) > head + tail + 1:
            same = [*same[:head], Line("gap", 0, 0, str(len(same) - head - tail)), *same[len(same) - tail :]]
        lines += same
    return lines
