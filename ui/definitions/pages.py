"""Every page of the room; to import them puts them on the blueprint."""

from ui.definitions import codes, packages, review, rules, systems
from ui.definitions.place import bp

__all__ = ["codes", "packages", "review", "rules", "systems"]
BLUEPRINTS = (bp,)
