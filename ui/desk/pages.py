"""The room's pages: each module adds its own to the blueprint when it is imported."""

from ui.desk import lookup, patients, payments, printing, queues, registration, tickets, today, visits
from ui.desk.entry import bp

VIEWS = (lookup, patients, payments, printing, queues, registration, tickets, today, visits)
BLUEPRINTS = (bp,)
