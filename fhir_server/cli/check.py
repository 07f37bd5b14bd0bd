"""fhir-server check"""

import click

from fhir_server.cli import options
from fhir_server.cli.reindex import in_tenant
from fhir_server.interactions import reindex as engine
from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.supervisor.instance import database


@click.command()
@options.tenant
@click.option("--sample", type=click.IntRange(min=1), help="Check this many resources only, chosen at random.")
@click.option("--seed", type=int, default=0, help="Which ones.")
@options.as_json
@options.data
def check(slug: str, sample: int | None, seed: int, as_json: bool) -> int:
    """Compare the index with the resources; change nothing. Exit code 1 when they differ."""
    with database():
        base = settings.fhir_base(slug)
        found = in_tenant(
            slug, lambda w: engine.check(session(), w.tenant.id, w.registry, base=base, sample=sample, seed=seed)
        )
    differences = sum(found["missing"].values()) + sum(found["extra"].values()) + found["wrong"]
    text = f"{found['checked']} resources checked: " + ("the index is right" if found["ok"] else "the index is wrong")
    if not found["ok"]:
        text += f" in {differences} places, {found['rows_of_nothing']} rows belong to nothing"
        text += f" ({', '.join(found['examples'][:5])} …). Repair it: fhir-server reindex --tenant {slug}"
    options.show(found, as_json, text)
    return 0 if found["ok"] else 1
