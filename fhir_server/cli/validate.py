"""fhir-server validate"""

from typing import Any

import click

from fhir_server.cli import options
from fhir_server.cli.reindex import in_tenant
from fhir_server.conformance.canonicals import Definitions
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.revalidation import Found, revalidate
from fhir_server.interactions.worlds import World, refresh
from fhir_server.rest.dispatch import session
from fhir_server.storage.reindex import writers_end
from fhir_server.supervisor.instance import database

_MOST_SHOWN = 30
_STEP = 5000


@click.command()
@options.tenant
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these resource types.")
@click.option("--profile", "profiles", multiple=True, metavar="URL", help="Against these profiles besides.")
@click.option("--tag", "mark", is_flag=True, help="Tag what breaks rules, and untag what does not.")
@options.as_json
@options.data
def validate(slug: str, types: tuple[str, ...], profiles: tuple[str, ...], mark: bool, as_json: bool) -> int:
    """Validate what is stored by the rules, profiles and policy of now. Exit code 1 when something breaks a rule."""
    found = Found()
    with database():
        # What is being written by an older policy just now would be walked past.
        in_tenant(slug, lambda place: session().run([writers_end(place.tenant.id)], final=True))
        in_tenant(slug, lambda place: _refuse_unknown(place, profiles))
        type_ids = _type_ids(slug, types)
        for type_id in type_ids:
            found.after = 0
            while found.after is not None:
                _step(slug, found, type_id, profiles, mark)
    options.show(_told(found), as_json, _text(found, mark))
    return 1 if found.invalid else 0


def _type_ids(slug: str, types: tuple[str, ...]) -> list[int | None]:
    known = refresh(session(), slug).registry.type_ids
    unknown = [name for name in types if name not in known]
    if unknown:
        raise click.BadParameter(f"FHIR R4 has no resource type {', '.join(unknown)}.", param_hint="--type")
    return [known[name] for name in types] or [None]


def _refuse_unknown(place: World, profiles: tuple[str, ...]) -> None:
    definitions = Definitions(place.registry.canonicals, session(), place.tenant.id)
    unknown = [canonical for canonical in profiles if definitions.find("StructureDefinition", canonical) is None]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)} is not known here.", param_hint="--profile")


def _step(slug: str, found: Found, type_id: int | None, profiles: tuple[str, ...], mark: bool) -> None:
    def work(place: World) -> Found:
        ctx = server_context(session(), place)
        return revalidate(ctx, found.after or 0, type_id=type_id, profiles=profiles, mark=mark)

    before = found.done
    found.add(in_tenant(slug, work))
    if found.done // _STEP > before // _STEP:
        options.say(f"{found.done} resources, {found.invalid} break rules")


def _told(found: Found) -> dict[str, Any]:
    rules = [
        {"type": name, "rule": rule, "resources": count, "example": found.examples[name, rule]}
        for (name, rule), count in found.rules.most_common()
    ]
    return {"resources": found.done, "invalid": found.invalid, "changed": found.changed, "rules": rules}


def _text(found: Found, mark: bool) -> str:
    lines = [f"{found.done} resources, {found.invalid} break rules" + (f", {found.changed} changed" if mark else "")]
    for (name, rule), count in found.rules.most_common(_MOST_SHOWN):
        lines.append(f"{count:>8}  {name:<24} {rule}  (such as {found.examples[name, rule]})")
    return "\n".join(lines)
