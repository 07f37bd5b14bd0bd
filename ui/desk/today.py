"""Today on one screen."""

from flask.typing import ResponseReturnValue

from ui.desk.answers import day_part, day_values
from ui.desk.choices import choices, keep
from ui.desk.entry import bp
from ui.page import page


@bp.get("/")
def today_page(slug: str) -> ResponseReturnValue:
    """Appointments, queues and the way to a ticket."""
    return keep(page("desk/today.html", **day_values()), choices())


@bp.get("/day")
def day(slug: str) -> ResponseReturnValue:
    """The part of the screen that lives."""
    return day_part()
