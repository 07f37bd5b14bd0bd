"""HealthcareService/$directory: what a clinic shows to everybody: who gives which visits where, as far as they are
booked online (profiles/scheduling/operations/HealthcareService-directory.json).

The resources are cut to what is public: nobody's birthday, private address or telephone.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.core.context import Context
from fhir_server.features.notifications.code_messages import carried
from fhir_server.features.scheduling.fields import Resource
from fhir_server.features.scheduling.offers import Offer, load
from fhir_server.features.scheduling.parameters import URL, Rules
from fhir_server.interactions import stored
from fhir_server.interactions.acting import as_server
from fhir_server.operations.call import OperationCall

_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_NAMED = ("resourceType", "id")
_PUBLIC: Mapping[str, tuple[str, ...]] = {
    "Practitioner": (*_NAMED, "active", "name", "gender", "photo", "qualification", "communication"),
    "Location": (*_NAMED, "status", "name", "alias", "description", "telecom", "address", "position",
                 "hoursOfOperation", "managingOrganization"),
    "Organization": (*_NAMED, "active", "name", "alias", "telecom", "address"),
    "HealthcareService": (*_NAMED, "active", "name", "category", "type", "specialty", "comment", "extraDetails",
                          "photo", "characteristic", "communication", "providedBy", "location"),
}  # fmt: skip
CHANNELS = "urn:salam:code-channel"


def directory(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """A Bundle (collection): the services that are booked online, the Schedules that say who gives them where, and
    those people, places and organizations. Its identifier says by what codes can be sent. Raises `TooCostly`."""
    offers = [each for each in load(ctx).offers() if each.service is not None and each.rules.online]
    services = {str((each.service or {})["id"]): each for each in offers}
    found: list[Resource] = [_service(each) for each in services.values()]
    found += _schedules(offers)
    names = {reference for each in offers for reference in _actors(each)}
    people = stored.by_name(as_server(ctx), sorted(names))
    found += [_public(each) for each in people.values() if each["resourceType"] in _PUBLIC]
    owners = {_reference(each.get(name)) for each in found for name in ("providedBy", "managingOrganization")}
    found += map(_public, stored.by_name(as_server(ctx), sorted(owners - {""})).values())
    entries = [{"fullUrl": f"{ctx.base}/{each['resourceType']}/{each['id']}", "resource": each} for each in found]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}
    bundle["identifier"] = {"system": CHANNELS, "value": " ".join(_channels(ctx))}
    return {**bundle, "entry": entries} if entries else bundle


def _channels(ctx: Context) -> list[str]:
    """By what codes can be sent to visitors here."""
    return [channel for channel in ("sms", "email") if carried(ctx.tenant, channel)]


def _service(offer: Offer) -> Resource:
    return {**_public(offer.service or {}), "extension": [{"url": URL, "extension": _said(offer.rules)}]}


def _said(rules: Rules) -> list[Resource]:
    """Of the rules what concerns who books."""
    found: list[Resource] = [
        {"url": "duration", "valuePositiveInt": rules.duration},
        {"url": "timezone", "valueCode": rules.zone},
        {"url": "onlineBooking", "valueBoolean": True},
    ]
    for name, kind, value in (
        ("minNotice", "UnsignedInt", rules.min_notice),
        ("maxAdvance", "PositiveInt", rules.max_advance),
        ("cancelCutoff", "UnsignedInt", rules.cancel_cutoff),
        ("requiresConfirmation", "Boolean", rules.requires_confirmation),
        ("price", "Money", rules.price),
    ):
        if value:
            found.append({"url": name, f"value{kind}": value})
    return found


def _schedules(offers: Iterable[Offer]) -> list[Resource]:
    """A Schedule for each that offers something, with who gives it, where, and which services."""
    found: dict[str, Resource] = {}
    for offer in offers:
        schedule = found.setdefault(
            str(offer.main.schedule["id"]),
            {"resourceType": "Schedule", "id": offer.main.schedule["id"], "meta": {"tag": [_SUBSETTED]}, "active": True,
             "actor": [dict(each) for each in offer.main.actors], "extension": []},
        )  # fmt: skip
        place = f"Location/{offer.location['id']}" if offer.location else ""
        if place and all(each["reference"] != place for each in schedule["actor"]):
            schedule["actor"].append({"reference": place})
        named = {"reference": f"HealthcareService/{(offer.service or {})['id']}"}
        schedule["extension"].append({"url": URL, "extension": [{"url": "service", "valueReference": named}]})
        role = offer.role or {}
        if "specialty" in role:
            schedule["specialty"] = role["specialty"]
    return list(found.values())


def _actors(offer: Offer) -> Iterable[str]:
    for each in offer.main.actors:
        yield str(each["reference"])
    if offer.location:
        yield f"Location/{offer.location['id']}"


def _public(resource: Mapping[str, Any]) -> Resource:
    kept = {name: resource[name] for name in _PUBLIC[resource["resourceType"]] if name in resource}
    return {**kept, "meta": {"tag": [_SUBSETTED]}}


def _reference(value: Mapping[str, Any] | None) -> str:
    text = str((value or {}).get("reference", ""))
    return text if text.count("/") == 1 and text.startswith("Organization/") else ""
