"""The room's pages."""

from ui.agenda.views import bp

BLUEPRINTS = (bp,)
