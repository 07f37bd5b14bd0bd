"""My day: who is here, who is next, who is done; and what this device calls from and to."""

from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from ui import page
from ui.doctor.entry import bp, here, professional
from ui.doctor.waiting import COOKIE, choices, read_day

_YEAR = 365 * 86400


@bp.get("/")
def day(slug: str) -> ResponseReturnValue:
    """The whole page; for htmx the part that changes."""
    return show_day()


def show_day(status: int = 200) -> Response:
    """The day as it is now, as a page or as its live part."""
    finished = request.args.get("finished", "") if request.method == "GET" else ""
    values: dict[str, Any] = {
        "day": read_day(),
        "choices": choices(),
        "professional": professional(),
        "finished": finished,
    }
    if page.is_htmx():
        return page.part("doctor/_day.html", status=status, **values)
    return page.page("doctor/day.html", status=status, **values)


@bp.post("/choices")
def choose(slug: str) -> ResponseReturnValue:
    """Remember on this device from which queue to call, and to which room."""
    desk = " ".join(request.form.get("desk", "").replace("|", " ").split())[:64]
    queue = request.form.get("queue", "").replace("|", "")[:64]
    response = page.see_other(here())
    response.set_cookie(
        COOKIE, f"{desk}|{queue}", max_age=_YEAR, path=here(), httponly=True, samesite="Lax",
        secure=browser.origin().startswith("https://"),
    )  # fmt: skip
    return response
