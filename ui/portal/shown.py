"""The patient's pages with the words they share: how it greets, how near a day is."""

from datetime import datetime
from typing import Any

from babel.dates import format_date
from flask import Response, request

from ui import formats, page
from ui.fhir import Resource
from ui.texts import language, ngettext, say


def shown(template: str, *, status: int = 200, **values: Any) -> Response:
    """A page of the portal."""
    return page.page(f"portal/{template}", status=status, **{**_shared(), **values})


def part(template: str, **values: Any) -> Response:
    """A fragment of such a page."""
    return page.part(f"portal/{template}", **{**_shared(), **values})


def _shared() -> dict[str, Any]:
    done = request.args.get("done", "")
    return {"done": done, "nearness": nearness, "short_month": short_month, "greeting": greeting}


def nearness(moment: datetime) -> str:
    """How near the day of a moment is: today, tomorrow, in 3 days; "" for what is past or more than two weeks away."""
    days = (formats.moment_of(moment).date() - page.today()).days
    if days == 0:
        return say("today")
    if days == 1:
        return say("tomorrow")
    return ngettext("in %(count)s day", "in %(count)s days", days) if 1 < days <= 14 else ""


def short_month(moment: datetime) -> str:
    """The month of a day in few letters."""
    return format_date(moment.date(), "MMM", locale=formats.locale())


def greeting(person: Resource) -> str:
    """How the page greets a Patient."""
    names = person.get("name") or [{}]
    # Who has a name in Arabic letters, too, is greeted by it in Arabic.
    arabic = [each for each in names if any("\u0600" <= letter <= "\u06ff" for letter in str(each.get("family", "")))]
    name = (arabic or names)[0] if language() == "ar" else names[0]
    given = str(next(iter(name.get("given", ())), ""))
    return say("Hello %(name)s", name=given) if given else say("Hello")
