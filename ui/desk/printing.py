"""The ticket on paper: 58 or 80 mm, in the patient's language, with a code that leads to the ticket's own page."""

from io import BytesIO

import segno
from flask import g
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from fhir_server.authorization_server.rendering import first_known
from ui import fhir
from ui.desk.entry import bp
from ui.desk.fields import Resource
from ui.desk.tickets import known
from ui.desk.tickets_of_day import queue_of
from ui.page import page, tenant


@bp.post("/tickets/<task_id>/print")
def print_ticket(slug: str, task_id: str) -> ResponseReturnValue:
    """A page to print. It makes a new secret link, which is why it is no GET."""
    task = fhir.read(f"Task/{task_id}")
    link = fhir.call(f"Task/{task_id}/$ticket-link")
    url = next(str(each["valueUrl"]) for each in link["parameter"] if each["name"] == "url")
    ticket = known(task)
    service = fhir.read(f"HealthcareService/{ticket.queue}")
    g.ui_language = spoken(task, ticket.patient)
    return page("desk/ticket_paper.html", ticket=ticket, queue=queue_of(service), code=qr(url), url=url)


def spoken(task: Resource, patient: Resource | None) -> str:
    """The language on the paper: the ticket's, the patient's preferred one, the clinic's."""
    wanted = [str(task.get("language", ""))]
    for each in sorted((patient or {}).get("communication", ()), key=lambda each: not each.get("preferred", False)):
        wanted += [str(coding.get("code", "")) for coding in each.get("language", {}).get("coding", ())]
    return first_known([*wanted, tenant().language]) or "fr"


def qr(text: str) -> Markup:
    """A QR code as SVG without a style of its own, so that the page's policy holds. `segno` escapes nothing of the
    text: it is modules, not letters."""
    out = BytesIO()
    made = segno.make(text, error="m", micro=False)
    made.save(out, kind="svg", xmldecl=False, svgns=True, border=2, omitsize=True, svgclass="qr", lineclass=None)
    return Markup(out.getvalue().decode())
