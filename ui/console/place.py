"""The blueprint of the console."""

from ui.room import room

bp = room("console", roles=("owner", "manager", "practitioner", "operator"))
