"""The web process: FHIR as a plain WSGI callable, everything else Flask."""

import re
from collections.abc import Iterable
from typing import Any

from fhir_server import observability
from fhir_server.authorization_server import (
    account,
    authorization,
    credentials,
    endpoints,
    launch_pages,
    recovery,
    signin,
)
from fhir_server.endpoints import calendars, events, messages, tickets
from fhir_server.rest.wsgi import StartResponse, fhir
from fhir_server.settings import settings
from fhir_server.site import site

# This module is what the web server starts from; nothing else imports it but tests.
observability.configure(settings.log_level)
ROOMS = (
    *(endpoints, signin, recovery, account, credentials, authorization, launch_pages),
    *(calendars, events, messages, tickets),
)
for room in ROOMS:
    site.register_blueprint(room.bp)

_BESIDE_FHIR = re.compile(r"/t/[^/]+/(oauth|\.well-known|fhir/\.well-known|calendars|events|messages|tickets)(/|\Z)")


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application that granian serves."""
    path: str = environ["PATH_INFO"]
    if path.startswith("/t/") and not _BESIDE_FHIR.match(path):
        return fhir(environ, start_response)
    return site(environ, start_response)
