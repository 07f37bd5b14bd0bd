"""The pages of booking online."""

from ui.booking import done, finding, proving, times, who
from ui.booking.place import bp

__all__ = ["done", "finding", "proving", "times", "who"]

BLUEPRINTS = (bp,)
