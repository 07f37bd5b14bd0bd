"""The blueprint of the room."""

from fhir_server.settings import settings
from ui.room import room

bp = room("definitions", roles=("owner", "manager", "operator"), largest=settings.max_body_bytes)
