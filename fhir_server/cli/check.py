"""fhir-server check"""

from typing import Any

import click

from fhir_server.cli import options
from fhir_server.cli.reindex import in_tenant
from fhir_server.core import clock
from fhir_server.features.notifications import delivery
from fhir_server.interactions import reindex as engine
from fhir_server.interactions.worlds import World
from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.storage import feed_positions
from fhir_server.supervisor.instance import database

# A follower that is this far behind is told; the worker calls each every five seconds at least.
_DELAYED_S = 30


@click.command()
@options.tenant
@click.option("--sample", type=click.IntRange(min=1), help="Check this many resources only, chosen at random.")
@click.option("--seed", type=int, default=0, help="Which ones.")
@options.as_json
@options.data
def check(slug: str, sample: int | None, seed: int, as_json: bool) -> int:
    """Compare the index with the resources, and say which messages and followers of changes are delayed; change
    nothing. Exit code 1 when the index differs."""
    base = settings.fhir_base(slug)

    def work(place: World) -> dict[str, Any]:
        tenant_id = place.tenant.id
        found = engine.check(session(), tenant_id, place.registry, base=base, sample=sample, seed=seed)
        return {**found, "messages": delivery.health(session(), tenant_id), "followers": _followers(tenant_id)}

    with database():
        found = in_tenant(slug, work)
    lines = [_index(slug, found), _messages(found["messages"]), *_delayed(found["followers"])]
    options.show(found, as_json, "\n".join(lines))
    return 0 if found["ok"] else 1


def _followers(tenant_id: int) -> list[dict[str, Any]]:
    """How far behind the followers of changes are, in seconds, and what they set aside."""
    now = clock.now().timestamp()
    return [
        {
            "name": state.reader,
            "behind_seconds": 0 if state.waiting_since is None else max(0, int(now - state.waiting_since / 1_000_000)),
            "failures": state.failures,
            "parked": state.parked,
        }
        for state in feed_positions.states(session(), tenant_id)
    ]


def _index(slug: str, found: dict[str, Any]) -> str:
    text = f"{found['checked']} resources checked: the index is " + ("right" if found["ok"] else "wrong")
    if found["ok"]:
        return text
    differences = sum(found["missing"].values()) + sum(found["extra"].values()) + found["wrong"]
    text += f" in {differences} places, {found['rows_of_nothing']} rows belong to nothing"
    return text + f" ({', '.join(found['examples'][:5])} …). Repair it: fhir-server reindex --tenant {slug}"


def _messages(health: dict[str, Any]) -> str:
    text = f"Messages: {health['queued']} wait, {health['sending']} are being sent, {health['dead']} were given up"
    if health["late"]:
        text += f"; {health['late']} late, the first by {health['late_seconds']} s"
    if health["unserved"]:
        text += f"; nobody carries {', '.join(health['unserved'])}"
    return text + ("; SMS and WhatsApp go to the sandbox" if health["sandbox"] else "")


def _delayed(followers: list[dict[str, Any]]) -> list[str]:
    """A line for each follower that is delayed or set something aside."""
    lines = []
    for each in followers:
        told = [f"is {each['behind_seconds']} s behind"] if each["behind_seconds"] >= _DELAYED_S else []
        told += [f"failed {each['failures']} times in a row"] if each["failures"] else []
        told += [f"set {each['parked']} changes aside"] if each["parked"] else []
        if told:
            lines.append(f"The follower {each['name']} {', '.join(told)}.")
    return lines or ["Followers of changes: none is delayed."]
