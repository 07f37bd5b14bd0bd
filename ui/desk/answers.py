"""How an action at the desk answers: the day as it is now, a message, and how to take it back."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue

from ui import page
from ui.desk.choices import choices, keep, main_queue
from ui.desk.day import read_day
from ui.desk.tickets_of_day import Ticket
from ui.fhir import Refused
from ui.page import is_htmx, part, see_other, tenant, toast
from ui.texts import say

_STALE = (404, 409, 410, 412)


def home() -> str:
    """The path of the day."""
    return f"/t/{tenant().slug}/ui/desk/"


def day_part() -> Response:
    """The day as a fragment, by what this desk has chosen."""
    return keep(part("desk/_day.html", **day_values()), choices())


def day_values() -> dict[str, Any]:
    """What the day's template needs."""
    chosen = choices()
    day = read_day(chosen.shown)
    professionals = {each.practitioner_id: each.practitioner for each in day.visits if each.practitioner_id}
    sites = {each.site_id: each.site for each in day.visits if each.site_id}
    return {
        "day": day, "chosen": chosen, "shown": day.shown, "counts": chosen.counts(day.visits),
        "main": main_queue(day.queues, chosen), "professionals": _by_name(professionals), "sites": _by_name(sites),
    }  # fmt: skip


def _by_name(named: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(((id_, name or id_) for id_, name in named.items()), key=lambda each: each[1].casefold())


def done(text: str, *, undo: str | None = None, kind: str = "success") -> ResponseReturnValue:
    """After an action: the day anew, a message with how to take it back; the panel closes."""
    if not is_htmx():
        return see_other(home())
    response = toast(day_part(), text, undo=undo, kind=kind)
    response.headers["HX-Retarget"] = "#day"
    response.headers["HX-Reswap"] = "outerMorph"
    return page.trigger(response, "desk:close")


def panel(template: str, *, status: int = 200, **values: Any) -> Response:
    """What stands in the panel beside the day; a page of its own for a browser without scripts."""
    if not is_htmx():
        return page.page("desk/panel.html", status=status, inner=f"desk/{template}", **values)
    response = part(f"desk/{template}", status=status, **values)
    response.headers["HX-Retarget"] = "#panel-body"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


def explained(error: Refused) -> str:
    """What a refusal of an action at the desk means."""
    if error.status in (404, 410):
        return say("This is not there any more. The screen is up to date now.")
    if error.detail == "wrong-state" or error.status == 412:
        return say("Somebody else was quicker. The screen is up to date now.")
    if error.detail in ("queue-closed", "queue-full", "already-waiting", "limit-reached"):
        return {
            "queue-closed": say("The queue is closed: open it first."),
            "queue-full": say("The queue is full."),
            "already-waiting": say("This patient is already waiting."),
            "limit-reached": say("The limit of this queue is reached."),
        }[error.detail]
    return page.sentence(error)


def refused(error: Refused) -> ResponseReturnValue:
    """The answer to an action that came too late: why, and the day as it is now."""
    if error.status not in _STALE and error.status != 422:
        raise error
    if not is_htmx():
        return page.problem(error.status, "refused", text=explained(error))
    return done(explained(error), kind="warning")


def stale_shows_the_day(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """A view whose action somebody else was quicker with says so and shows how it stands now."""

    @wraps(view)
    def answer(*args: Any, **values: Any) -> ResponseReturnValue:
        try:
            return view(*args, **values)
        except Refused as error:
            return refused(error)

    return answer


def given(ticket: Ticket, instead: str = "") -> ResponseReturnValue:
    """After a ticket was given: the ticket in the panel, ready to be printed, and the day anew beside it.

    `instead`: the number that it replaces."""
    if not is_htmx():
        return see_other(f"{home()}tickets/{ticket.id}")
    values = day_values()
    queue = values["day"].queue(ticket.queue)
    response = panel("_ticket_given.html", ticket=ticket, queue=queue, instead=instead, fresh=True, **values)
    return keep(response, choices())
