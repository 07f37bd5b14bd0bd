"""The blueprint of the manager's pages."""

from ui.room import room

bp = room("manage", roles=("manager", "owner"))
