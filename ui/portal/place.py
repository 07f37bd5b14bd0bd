"""The blueprint of the patient's pages."""

from ui.room import room

bp = room("portal", roles=("patient", "proxy"))
