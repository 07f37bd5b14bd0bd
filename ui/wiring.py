"""Every room of the pages, in one table."""

from flask import Blueprint, Flask

from ui import files, front
from ui.agenda import pages as agenda
from ui.apps import pages as apps
from ui.booking import pages as booking
from ui.console import pages as console
from ui.definitions import pages as definitions
from ui.desk import pages as desk
from ui.doctor import pages as doctor
from ui.manage import pages as manage
from ui.portal import pages as portal
from ui.styles import pages as styles
from ui.waiting import pages as waiting

ROOMS: tuple[Blueprint, ...] = (
    *desk.BLUEPRINTS,
    *agenda.BLUEPRINTS,
    *doctor.BLUEPRINTS,
    *portal.BLUEPRINTS,
    *booking.BLUEPRINTS,
    *waiting.BLUEPRINTS,
    *manage.BLUEPRINTS,
    *definitions.BLUEPRINTS,
    *console.BLUEPRINTS,
    *apps.BLUEPRINTS,
    *styles.BLUEPRINTS,
)


def register(site: Flask) -> None:
    """Give the site every room."""
    for each in (front.bp, files.bp, *ROOMS):
        site.register_blueprint(each)
