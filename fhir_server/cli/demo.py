"""`python -m fhir_server.cli.demo SLUG PATIENTS MINUTES`: what `run` does about tenants on every start.

Makes the tenant SLUG with invented patients when it is not there (nothing when SLUG is empty), and prints a token for
the demo tenant when there is one.
"""

import sys

from fhir_server.cli.loading import Loader
from fhir_server.cli.token import new_token
from fhir_server.core.resource_json import encode
from fhir_server.demo.generate import generate
from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.storage import operator

DEMO = "demo"
_SEED = 1


def main(slug: str, patients: int, minutes: int) -> None:
    """Make the demo tenant if it is wanted, and print a token if it is there and active."""
    known = {row["slug"]: row["status"] for row in operator.list_tenants(session())}
    if slug and slug not in known:
        operator.create_tenant(session(), slug, "Demo clinics", {"zone": "Africa/Casablanca"})
        known[slug] = "active"
    if slug and known[slug] == "active":
        _fill(slug, patients)
    if known.get(DEMO) == "active":
        print(new_token(DEMO, "system/*.cruds operator", minutes, "demo")["access_token"])


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
