"""The room's blueprints: the gallery of apps, and the files of the app that comes along."""

from ui.apps import growth_files, launching, registering  # noqa: F401 - their views register themselves
from ui.apps.gallery import bp

BLUEPRINTS = (bp, growth_files.bp)
