"""The blueprint of the agenda, and what its answers have in common."""

from typing import Any
from urllib.parse import urlsplit

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from ui import page
from ui.room import room

ROLES = ("receptionist", "nurse", "practitioner", "manager", "owner")
bp = room("agenda", roles=ROLES)
_CHANGED, _CLOSE = "agenda:changed", "agenda:close"


def home(**query: str) -> str:
    """The address of the calendar."""
    pairs = "&".join(f"{name}={value}" for name, value in query.items() if value)
    return f"/t/{g.tenant.slug}/ui/agenda/{'?' if pairs else ''}{pairs}"


def sheet(template: str, *, status: int = 200, **values: Any) -> ResponseReturnValue:
    """A part of the agenda: in the panel beside the calendar, or as a page of its own where there is no script."""
    if page.is_htmx():
        # What a form is refused for is shown in the form.
        return page.part(f"agenda/{template}", **values)
    return page.page("agenda/alone.html", status=status, inner=f"agenda/{template}", **values)


def done(text: str, *, undo: str | None = None, kind: str = "success", back: str | None = None) -> Response:
    """After something was done: the panel closes, the calendar reads anew, a message says what happened."""
    shown = urlsplit(request.headers.get("HX-Current-URL", home())).path
    if not page.is_htmx() or (back and shown != home()):
        return page.see_other(back or home())
    answer = page.toast(Response(status=200), text, undo=undo, kind=kind)
    page.trigger(answer, _CHANGED)
    page.trigger(answer, _CLOSE)
    answer.headers["HX-Reswap"] = "none"
    return answer


def typed(name: str, longest: int = 200) -> str:
    """What was typed into a field, without spaces around it, cut to what makes sense."""
    return (request.form.get(name) or "").strip()[:longest]
