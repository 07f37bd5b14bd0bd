"""Every page of the console; to import them puts them on the blueprint."""

from ui.console import bundles, expressions, reading, searching, types, versions, writing
from ui.console.place import bp

__all__ = ["bundles", "expressions", "reading", "searching", "types", "versions", "writing"]
BLUEPRINTS = (bp,)
