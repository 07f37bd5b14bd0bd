"""`python -m fhir_server.cli.demo SLUG PATIENTS MINUTES`: what `run` does about tenants on every start.

Makes the tenant SLUG with invented patients when it is not there (nothing when SLUG is empty), and prints a JSON object
with a token for the demo tenant and an account of each role (`token`, `accounts`) when there is that tenant.
"""

import json
import sys

from fhir_server.cli.loading import Loader
from fhir_server.cli.token import new_token
from fhir_server.core.messages import FhirRequest
from fhir_server.core.resource_json import decode, encode
from fhir_server.demo.accounts import demo_accounts
from fhir_server.demo.generate import generate
from fhir_server.interactions.worlds import world
from fhir_server.rest.dispatch import handle, session
from fhir_server.settings import settings
from fhir_server.storage import operator

DEMO = "demo"
_SEED = 1


def main(slug: str, patients: int, minutes: int) -> None:
    """Make the demo tenant if it is wanted, and print how to get in if it is there and active."""
    known = {row["slug"]: row["status"] for row in operator.list_tenants(session())}
    if slug and slug not in known:
        operator.create_tenant(session(), slug, "Demo clinics", {"zone": "Africa/Casablanca"})
        known[slug] = "active"
    if slug and known[slug] == "active":
        _fill(slug, patients)
    if known.get(DEMO) == "active":
        token = new_token(DEMO, "system/*.cruds operator", minutes, "demo")["access_token"]
        print(json.dumps({"token": token, "accounts": _accounts(token)}))


def _accounts(token: str) -> list[dict[str, str]]:
    """An account of each role; the patient's and the proxy's are about the first patient that there is."""
    base = settings.fhir_base(DEMO)
    headers = {"authorization": f"Bearer {token}"}
    answer = handle(FhirRequest("GET", "Patient", [("_count", "1"), ("_sort", "_id")], headers, b"", base), DEMO)
    entries = decode(answer.body or b"{}").get("entry", [])
    db = session()
    place = world(db, DEMO)
    db.enter(place.tenant.id, None, place.version, writing=True)
    made = demo_accounts(db, place.tenant.id, entries[0]["resource"]["id"] if entries else None)
    db.commit()
    return made


def _fill(slug: str, patients: int) -> None:
    settings.max_bundle_entries = sys.maxsize
    loader = Loader(slug)
    position, _ = loader.progress("demo")
    if position > patients:
        return
    print(f"Making the tenant {slug} with {patients} invented patients ...", file=sys.stderr, flush=True)
    for number, bundle in enumerate(generate(_SEED, patients)):
        if number >= position:
            loader.store(encode(bundle), "demo", number + 1, {})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
