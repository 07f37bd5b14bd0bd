"""The first page: find whom or what to visit; and the page of a practitioner."""

from collections.abc import Mapping
from datetime import date, timedelta

from flask import Response, request
from flask.typing import ResponseReturnValue

from fhir_server.core.errors import NotFound
from ui import fhir, page
from ui.booking import free
from ui.booking.catalogue import Catalogue, Doctor, Place, Service, catalogue, mode_icon
from ui.booking.free import Time, Wanted
from ui.booking.place import asking, bp
from ui.texts import say

# People whose next times are looked up for one page.
_CARDS = 12
_AHEAD, _EACH = 21, 3
_LONGEST = 100


@bp.get("/")
def start(slug: str) -> ResponseReturnValue:
    """Filters (query: q, service, place, language, mode, from) and the people that fit, with their next free times."""
    known = catalogue()
    given = {
        name: request.args.get(name, "")[:_LONGEST] for name in ("q", "service", "place", "language", "mode", "from")
    }
    found = [doctor for doctor in known.doctors.values() if _fits(known, doctor, given)]
    shown, day = found[:_CARDS], _day(given["from"])
    cards = [(doctor, _next(known, doctor, given, day)) for doctor in shown]
    soonest = sorted(cards, key=lambda card: (not card[1], card[1][0].start if card[1] else None, card[0].name))
    return page.page(
        "booking/find.html",
        known=known, given=given, cards=soonest, more=len(found) - len(shown), filtered=any(given.values()),
        holds=_own_holds(), day=day, service_options=_options(known.services), place_options=_options(known.places),
    )  # fmt: skip


@bp.get("/doctor/<id_>")
def doctor(slug: str, id_: str) -> ResponseReturnValue:
    """Somebody who can be booked: what for, where, and the next free times of each service."""
    known = catalogue()
    found = known.doctors.get(f"Practitioner/{id_}")
    if found is None:
        raise NotFound("There is no such page.")
    services = [
        (service, free.find(Wanted(service.reference, found.reference), page.today(), _AHEAD, 50)[:_EACH])
        for service in known.services_of(found)
    ]
    places = [known.places[name] for name in found.places]
    return page.page("booking/doctor.html", known=known, doctor=found, services=services, places=places,
                     mode_icon=mode_icon)  # fmt: skip


@bp.get("/terms")
def terms(slug: str) -> Response:
    """What somebody agrees to who books."""
    return page.page("booking/terms.html")


def _options(known: Mapping[str, Service] | Mapping[str, Place]) -> list[tuple[str, str]]:
    """What can be chosen: id and name, first that it does not matter."""
    return [("", say("All")), *((name.partition("/")[2], each.name) for name, each in known.items())]


def _day(text: str) -> date:
    """The day from which on times are shown: today, or one to come."""
    try:
        return max(date.fromisoformat(text), page.today()) if text else page.today()
    except ValueError:
        return page.today()


def _fits(known: Catalogue, doctor: Doctor, given: dict[str, str]) -> bool:
    services = [each for each in known.services_of(doctor) if _is_wanted(each, given)]
    if not services:
        return False
    if given["place"] and f"Location/{given['place']}" not in doctor.places:
        return False
    if given["language"] and given["language"] not in doctor.languages:
        return False
    words = given["q"].casefold().split()
    about = " ".join(
        (doctor.name, doctor.specialty, doctor.qualification, *(f"{each.name} {each.specialty}" for each in services))
    ).casefold()
    return all(word in about for word in words)


def _is_wanted(service: Service, given: dict[str, str]) -> bool:
    if given["service"] and service.reference != f"HealthcareService/{given['service']}":
        return False
    return not given["mode"] or given["mode"] in service.modes


def _next(known: Catalogue, doctor: Doctor, given: dict[str, str], day: date) -> list[Time]:
    wanted = Wanted(
        f"HealthcareService/{given['service']}" if given["service"] else "", doctor.reference,
        f"Location/{given['place']}" if given["place"] else "", given["mode"],
    )  # fmt: skip
    return free.find(wanted, day, _AHEAD, 40)[:_EACH]


def _own_holds() -> list[Time]:
    """What this browser holds already, so that nobody loses it by going back. Of who never held anything nothing is
    asked."""
    if "salam-booking" not in request.cookies:
        return []
    with asking(holding=True):
        found = fhir.search("Appointment", {"status": "pending", "date": f"ge{page.today() - timedelta(days=1)}"})
    times = [free.time_of(each) for each in found.resources if "start" in each and "end" in each]
    return [each for each in times if each.until and not each.lapsed]
