"""The page behind a ticket's secret link: whoever holds it follows the ticket and gives it back. It names nobody.

It shows what `GET /t/{slug}/tickets/{secret}` answers, which is also what its script asks for again and again: the
first answer is in the page, so that it can be read before, and without, any script.
"""

from typing import Any

from flask import Response, current_app
from flask.typing import ResponseReturnValue

from fhir_server.authorization_server import browser
from fhir_server.core.resource_json import decode
from ui import formats, page
from ui.room import room
from ui.texts import language, ngettext, say

bp = room("portal", roles=None, at="ticket", part="ticket")

# A count of each plural form, by the names that browsers have for them.
_COUNTS = {"fr": {"one": 1, "other": 7}, "en": {"one": 1, "other": 7}, "es": {"one": 1, "other": 7},
           "ar": {"zero": 0, "one": 1, "two": 2, "few": 7, "many": 17, "other": 100}}  # fmt: skip
_OVER = ("served", "cancelled", "expired", "no-show", "transferred")


@bp.get("/<secret>")
def ticket(slug: str, secret: str) -> ResponseReturnValue:
    """The ticket as it stands."""
    answer = _asked("GET", f"/t/{slug}/tickets/{secret}")
    if answer.status_code != 200:
        return _private(page.page("portal/ticket_gone.html", status=404))
    found: dict[str, Any] = decode(answer.get_data())
    response = page.page(
        "portal/ticket.html", ticket=found, secret=secret, words=words(), over=found["state"] in _OVER,
        url=f"/t/{slug}/tickets/{secret}", etag=answer.headers.get("ETag", ""), said=said(found),
    )  # fmt: skip
    return _private(response)


@bp.post("/<secret>/give-back")
def give_back(slug: str, secret: str) -> ResponseReturnValue:
    """Give the ticket back: somebody else is called instead."""
    answer = _asked("POST", f"/t/{slug}/tickets/{secret}/cancel")
    if answer.status_code == 404:
        return _private(page.page("portal/ticket_gone.html", status=404))
    return page.see_other(f"/t/{slug}/ui/ticket/{secret}")


def _asked(method: str, path: str) -> Response:
    """What the public address of a ticket answers to anybody's program, asked without a network."""
    headers = {"Accept": "application/json"}
    with current_app.test_request_context(path, method=method, base_url=browser.origin(), headers=headers):
        return current_app.full_dispatch_request()


def _private(response: Response) -> Response:
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def said(found: dict[str, Any]) -> dict[str, str]:
    """The sentences about a ticket as it stands: `title`, `ahead`, `wait`, `desk`, `queue`. The page's script makes the
    same ones from `words`."""
    known, state = words(), str(found["state"])
    position, span, queue = found["position"], found["range"], found["queue"]
    away = "absent" if state == "called" and found.get("returnBy") else state
    title = known["states"].get(away, known["states"]["waiting"])
    if away == "absent":
        title = title.replace("{time}", formats.time(found["returnBy"]))
    ahead = ""
    if position is not None:
        ahead = known["next"] if position == 1 else ngettext(
            "%(count)s person before you", "%(count)s people before you", position - 1
        )  # fmt: skip
    return {
        "title": title, "ahead": ahead,
        "wait": formats.minutes_range(span["low"], span["high"]) if span else "",
        "desk": str(found["desk"] or ""),
        "queue": str(queue["message"] or known["queue"].get(queue["state"], "")) if state == "waiting" else "",
    }  # fmt: skip


def words() -> dict[str, Any]:
    """What the page's script says, in the language of the request; `{n}` and the like are filled there."""
    people = {form: ngettext("%(count)s person before you", "%(count)s people before you", count)
              .replace(str(count), "{n}") for form, count in _COUNTS[language()].items()}  # fmt: skip
    return {
        "states": {
            "waiting": say("You are waiting for your turn"), "called": say("It is your turn!"),
            "absent": say("You were called. Please come before {time}"), "serving": say("You are being seen"),
            "served": say("Your visit is over. Have a good day."),
            "cancelled": say("This ticket was given back"), "expired": say("This ticket has expired"),
            "no-show": say("You were called and were not there. Please go to the reception."),
            "transferred": say("You were sent on. Please go to the reception."),
        },
        "queue": {"open": "", "paused": say("The queue is paused. You keep your place."),
                  "closed": say("The queue is closed now.")},
        "next": say("You are next"), "ahead": people,
        "between": formats.minutes_range(11, 22).replace("11", "{low}").replace("22", "{high}"),
        "about": formats.minutes_range(11, 11).replace("11", "{high}"), "soon": formats.minutes_range(0, 0),
        "updated": say("Updated at {time}"),
        "offline": say("No connection. This is how it stood at {time}; it goes on by itself."),
        "gone": say("This link has expired."), "sound": say("Ring when it is my turn"),
        "ringing": say("It will ring. Keep this page open."),
    }  # fmt: skip
