"""The web process: FHIR as a plain WSGI callable, everything else Flask."""

import faulthandler
import gc
import re
from collections.abc import Iterable
from signal import ITIMER_PROF, SIGPROF, setitimer
from typing import Any

from fhir_server import observability
from fhir_server.authorization_server import (
    account,
    authorization,
    code_signin,
    credentials,
    devices,
    endpoints,
    guest,
    launch_pages,
    recovery,
    signin,
)
from fhir_server.conformance.registry import base_registry
from fhir_server.endpoints import calendars, events, messages, tickets
from fhir_server.rest.wsgi import StartResponse, fhir
from fhir_server.settings import settings
from fhir_server.site import site
from ui import wiring

# This module is what the web server starts from; nothing else imports it but tests.
observability.configure(settings.log_level)
ROOMS = (
    *(endpoints, signin, code_signin, guest, recovery, devices, account, credentials, authorization, launch_pages),
    *(calendars, events, messages, tickets),
)
for room in ROOMS:
    site.register_blueprint(room.bp)
wiring.register(site)
base_registry()
# What is there now stays: a collection that looked at it again would take a tenth of a second.
gc.collect()
gc.freeze()
faulthandler.register(SIGPROF, chain=True)

_BESIDE_FHIR = re.compile(r"/t/[^/]+/(oauth|\.well-known|fhir/\.well-known|calendars|events|messages|tickets|ui)(/|\Z)")


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application that granian serves.

    A request that runs away where nothing in Python could stop it (SIGPROF needs no interpreter) ends this process with
    the places in the code where it was; granian starts another. Several threads share the time.
    """
    path: str = environ["PATH_INFO"]
    setitimer(ITIMER_PROF, settings.request_cpu_seconds)
    try:
        if path.startswith("/t/") and not _BESIDE_FHIR.match(path):
            return fhir(environ, start_response)
        return site(environ, start_response)
    finally:
        setitimer(ITIMER_PROF, 0)
