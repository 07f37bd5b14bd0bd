"""`python -m fhir_server.cli.demo SLUG PATIENTS MINUTES`: what `run` does about tenants on every start.

Makes the tenant SLUG with invented patients when it is not there (nothing when SLUG is empty), and prints a JSON object
with a token for the demo tenant and an account of each role (`token`, `accounts`) when there is that tenant.
"""

import json
import sys
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.cli.loading import Loader, LoadRefused
from fhir_server.cli.token import new_token
from fhir_server.core.messages import FHIR_JSON, FhirRequest
from fhir_server.core.resource_json import decode, encode
from fhir_server.demo import generate, waiting
from fhir_server.demo.accounts import demo_accounts
from fhir_server.demo.apps import demo_apps
from fhir_server.demo.site import ZONE
from fhir_server.features.notifications import reminders
from fhir_server.interactions import stored
from fhir_server.interactions.acting import SERVER, server_context
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import handle, session
from fhir_server.settings import settings
from fhir_server.storage import operator

DEMO = "demo"
_SEED = 1


def main(slug: str, patients: int, minutes: int) -> None:
    """Make the demo tenant if it is wanted, and print how to get in if it is there and active."""
    if slug:
        make(slug, patients)
    if any(row["slug"] == DEMO and row["status"] == "active" for row in operator.list_tenants(session())):
        token = new_token(DEMO, "system/*.cruds operator", minutes, "demo")["access_token"]
        print(json.dumps({"token": token, "accounts": people_of(DEMO)}))


def make(slug: str, patients: int) -> None:
    """Make the tenant with its invented clinic, as far as it is not there; nothing of a suspended one."""
    known = {row["slug"]: row["status"] for row in operator.list_tenants(session())}
    if slug not in known:
        operator.create_tenant(session(), slug, "Clinique Al Amal (demo)", {"zone": ZONE, "country": "ma"})
    if known.get(slug, "active") == "active":
        _fill(slug, patients)


def people_of(slug: str) -> list[dict[str, str]]:
    """An account of each role (`role`, `email`, `password`), made if missing; the patient's and the proxy's are about
    the first patient that there is. The app that comes along is registered, too."""
    found = _search(slug, "Patient", [("_count", "1"), ("_sort", "_id")])
    db = session()
    place = world(db, slug)
    db.enter(place.tenant.id, None, place.version, writing=True)
    made = demo_accounts(db, place.tenant.id, found[0]["id"] if found else None)
    demo_apps(db, place.tenant.id, settings.fhir_base(slug))
    db.commit()
    return made


def _fill(slug: str, patients: int) -> None:
    """Store what is missing of the demo's records, then let its queue be in progress. What was begun earlier goes on as
    of that moment."""
    settings.max_bundle_entries = sys.maxsize
    loader = Loader(slug)
    position, kept = loader.progress(DEMO)
    last = generate.count(patients)
    if position > last:
        return
    print(f"Making the tenant {slug} with {patients} invented patients ...", file=sys.stderr, flush=True)
    kept = kept or {"now": _now().isoformat(timespec="seconds")}
    now = datetime.fromisoformat(kept["now"])
    for number, bundle in enumerate(generate.generate(_SEED, patients, now=now), 1):
        if number > position:
            loader.store(encode(bundle), DEMO, number, kept)
    _plan_reminders(slug)
    # Noted first: a play that was cut off cannot be played again, because its tickets are taken.
    loader.store(encode(generate.transaction([])), DEMO, last + 1, kept)
    waiting.play(_operations(slug), _SEED, now, **_who_comes(slug, now))


def _plan_reminders(slug: str) -> None:
    """Plan what the worker would have planned, had it been there when the Appointments were stored."""
    db = session()
    ctx = server_context(db, world(db, slug))
    coming = [("status", "booked"), ("date", f"gt{ctx.now:%Y-%m-%dT%H:%M:%SZ}")]
    ids = [found["id"] for found in stored.find(ctx, "Appointment", coming)]
    with db.hold():
        reminders.replan(ctx, ids)
    db.commit()


def _now() -> datetime:
    return datetime.now(ZoneInfo(ZONE))


def _operations(slug: str) -> waiting.Run:
    base = settings.fhir_base(slug)

    def run(path: str, parameters: dict[str, Any]) -> dict[str, Any]:
        body = {"resourceType": "Parameters", "parameter": [{"name": n, **v} for n, v in parameters.items()]}
        sent = encode(body) if parameters else b""
        request = FhirRequest("POST", path, [], {"content-type": FHIR_JSON}, sent, base)
        answer = handle(request, slug, principal=SERVER)
        found: dict[str, Any] = decode(answer.body or b"{}")
        if answer.status >= 400:
            raise LoadRefused(found)
        return found

    return run


def _who_comes(slug: str, now: datetime) -> dict[str, list[str]]:
    """Patients without an appointment today who come to the queue, and Appointments of the next minutes whose patients
    have come."""
    midnight = now.replace(hour=0, minute=0, second=0)
    today = [("date", f"ge{midnight.isoformat()}"), ("date", f"lt{(midnight + timedelta(days=1)).isoformat()}")]
    booked = _search(slug, "Appointment", [*today, ("_count", "200"), ("_sort", "date")])
    taken = {each["actor"]["reference"] for found in booked for each in found["participant"]}
    patients = [f"Patient/{found['id']}" for found in _search(slug, "Patient", [("_count", "150"), ("_sort", "_id")])]
    # They come in the last quarter of an hour, and not too early.
    soon = now + timedelta(minutes=12)
    next_ones = [
        each["id"] for each in booked
        if each["status"] == "booked" and datetime.fromisoformat(each["start"].replace("Z", "+00:00")) <= soon
    ]  # fmt: skip
    return {"patients": [each for each in patients if each not in taken], "booked": next_ones[:3]}


def _search(slug: str, resource_type: str, query: list[tuple[str, str]]) -> list[dict[str, Any]]:
    answer = handle(FhirRequest("GET", resource_type, query, {}, b"", settings.fhir_base(slug)), slug, principal=SERVER)
    return [entry["resource"] for entry in decode(answer.body or b"{}").get("entry", [])]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
