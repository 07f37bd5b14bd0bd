"""Every page of the manager; to import them puts them on the blueprint."""

from ui.manage import devices, figures, hours, messages, queues, services, staff
from ui.manage.place import bp

__all__ = ["devices", "figures", "hours", "messages", "queues", "services", "staff"]
BLUEPRINTS = (bp,)
