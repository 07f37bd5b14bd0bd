"""What a desk has chosen to see and where it stands, kept in a cookie of this browser: no data of patients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from flask import Response, request

from ui.desk.day import Visit
from ui.desk.tickets_of_day import Queue
from ui.page import tenant

GROUPS = ("current", "expected", "here", "done", "missed")
_COOKIE = "desk-view"
_MONTH = 30 * 86400
_LONGEST = 64
MOST_LINES = 150


@dataclass(frozen=True, slots=True)
class Choices:
    """`group`: which visits are shown; `practitioner`, `site`: ids, "" for all; `queue`: where arrivals go, "" for the
    clinic's first; `desk`: the name of this desk, which boards show with a call; `every`: "1" for all lines of a very
    long day."""

    group: str = "current"
    practitioner: str = ""
    site: str = ""
    queue: str = ""
    desk: str = ""
    every: str = ""

    def shows(self, visit: Visit) -> bool:
        """Whether a visit is among what was chosen, whatever its group."""
        return self.practitioner in ("", visit.practitioner_id) and self.site in ("", visit.site_id)

    def shown(self, visits: Sequence[Visit]) -> list[Visit]:
        """The visits to show, by time; of a very long day the first, until all are asked for."""
        groups = ("expected", "here") if self.group == "current" else (self.group,)
        found = [each for each in visits if each.group in groups and self.shows(each)]
        return found if self.every else found[:MOST_LINES]

    def counts(self, visits: Sequence[Visit]) -> dict[str, int]:
        """How many visits each group has, of the chosen professional and place."""
        groups = [each.group for each in visits if self.shows(each)]
        found = {group: groups.count(group) for group in GROUPS[1:]}
        return {"current": found["expected"] + found["here"], **found}


def choices() -> Choices:
    """What was chosen: by this request, else before."""
    kept = dict(parse_qsl(request.cookies.get(_COOKIE, "")))
    given = request.values if "group" in request.values or "desk" in request.values else {}
    if given.get("group", kept.get("group", "current")) != kept.get("group", "current"):
        kept.pop("every", None)
    found = {name: str(given.get(name, kept.get(name, "")))[:_LONGEST] for name in Choices.__slots__}
    made = Choices(**found)
    return made if made.group in GROUPS else replace(made, group="current")


def keep(response: Response, chosen: Choices) -> Response:
    """Have the browser remember what is new. An answer that only brings news says nothing, so that it cannot undo what
    another has just set."""
    value = urlencode({name: getattr(chosen, name) for name in Choices.__slots__ if getattr(chosen, name)})
    if value == request.cookies.get(_COOKIE, ""):
        return response
    response.set_cookie(
        _COOKIE, value, max_age=_MONTH, path=f"/t/{tenant().slug}/ui/desk", secure=request.is_secure, httponly=True,
        samesite="Lax",
    )  # fmt: skip
    return response


def main_queue(queues: Sequence[Queue], chosen: Choices, site: str = "", kind: str = "") -> Queue | None:
    """Where arrivals go: the queue that was chosen, else the first that is open, of the place and has the kind."""
    fitting = [each for each in queues if not kind or kind in each.kinds] or list(queues)
    for each in fitting:
        if each.id == chosen.queue:
            return each

    def far(queue: Queue) -> tuple[bool, bool]:
        return queue.state == "closed", bool(site) and f"Location/{site}" not in queue.sites

    return min(fitting, key=far, default=None)
