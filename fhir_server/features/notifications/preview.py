"""ActivityDefinition/$preview-message: a message as it would be sent, and what it would take."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid, Unprocessable
from fhir_server.features.notifications import budget, facts, languages, templates, text_parts
from fhir_server.features.notifications.kinds import Kind, channels, kinds, rules
from fhir_server.features.notifications.options import options
from fhir_server.features.notifications.quiet_hours import zone_of
from fhir_server.features.notifications.template_language import Value, compile_template
from fhir_server.features.notifications.templates import Own, Text, Written
from fhir_server.features.notifications.visit_occasions import visit_occasion
from fhir_server.interactions import acting, stored
from fhir_server.operations.call import OperationCall
from fhir_server.security import policy

Resource = Mapping[str, Any]


def preview(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """The text of a message with values of an appointment or of a sample. Sends and stores nothing."""
    policy.allow(ctx, "read", "ActivityDefinition")
    definition = stored.get(ctx, "ActivityDefinition", call.id) if call.id is not None else None
    kind = _kind(call, definition)
    channel = _code(call, "channel", channels())
    visit = _visit(ctx, call)
    tried = _languages(ctx, call, visit)
    text, source = _text(ctx, call, definition, kind, channel, tried)
    values = _values(ctx, kind, visit, text.language)
    country = str(ctx.tenant.settings.get("country") or "").upper()
    return _answer(ctx, text, source, templates.render(text, values, country), templates.write(text, values, country))


def _kind(call: OperationCall, definition: Resource | None) -> Kind:
    own = templates.kind_of(definition) if definition is not None else None
    if definition is not None and own is None:
        raise Unprocessable("This ActivityDefinition is no message template.", expression="ActivityDefinition.code")
    if own is not None and call.parameters.get("kind", own.code) != own.code:
        raise Invalid(f"The template is of the kind {own.code}.", expression="http.kind", code="value")
    return own or kinds()[_code(call, "kind", kinds())]


def _code(call: OperationCall, name: str, known: Mapping[str, object]) -> str:
    code = call.parameters.get(name)
    if code is None:
        raise Invalid(f"$preview-message needs the {name} here.", expression=f"http.{name}", code="required")
    if code not in known:
        raise Invalid(f"{name} takes one of {', '.join(known)}.", expression=f"http.{name}", code="value")
    return str(code)


def _visit(ctx: Context, call: OperationCall) -> Resource | None:
    reference = call.parameters.get("appointment")
    if reference is None:
        return None
    name = next(facts.references([reference], ctx.base), "")
    if not name.startswith("Appointment/"):
        raise Invalid("appointment is a reference Appointment/[id].", expression="http.appointment", code="value")
    # The text shows names from the records of those who take part.
    acting.check_staff(ctx, "Appointment", "preview messages of real appointments")
    return stored.get(ctx, "Appointment", name.split("/")[1])


def _languages(ctx: Context, call: OperationCall, visit: Resource | None) -> tuple[str, ...]:
    if "language" in call.parameters:
        return (str(call.parameters["language"]),)
    people = facts.people_of(visit, ctx.base) if visit is not None else []
    person = stored.by_name(ctx, people[:1]).get(people[0], {}) if people else {}
    return languages.of(person, ctx.tenant)


def _text(
    ctx: Context, call: OperationCall, definition: Resource | None, kind: Kind, channel: str, tried: tuple[str, ...]
) -> tuple[Text, str]:
    """What is shown, and where it is from: given, own, default."""
    body, subject = call.parameters.get("body"), call.parameters.get("subject", "")
    if body is not None:
        compile_template(body, kind.names, "http.body")
        if subject and not channels()[channel].subject:
            raise Invalid(f"{channel} has no subject.", expression="http.subject", code="value")
        compile_template(subject, kind.names, "http.subject")
        return Text(kind.code, channel, tried[0], subject, body), "given"
    if subject:
        raise Invalid("A subject is tried together with its body.", expression="http.body", code="required")
    mine = templates.own(ctx) if definition is None else Own(tuple(templates.texts_of(definition)))
    before = templates.send_before(definition) if definition is not None else None
    text = templates.chosen(mine, kind.code, channel, tried, before)
    if text is None:
        raise Unprocessable(
            f"There is no text for {kind.code} through {channel} in {tried[0]}.", expression="http.language"
        )
    return text, "own" if text.own else "default"


def _values(ctx: Context, kind: Kind, visit: Resource | None, language: str) -> dict[str, Value]:
    chosen = options(ctx.tenant)
    sample = {**rules()["sample"]["all"], **rules()["sample"].get(language.split("-")[0], rules()["sample"]["fr"])}
    found: dict[str, Value] = {}
    for name, form in kind.names:
        if name in sample:
            zone = zone_of(ctx.tenant.zone)
            instant = form == "instant"
            found[name] = datetime.fromisoformat(sample[name]).replace(tzinfo=zone) if instant else sample[name]
    found |= {"clinic": ctx.tenant.name, "link": chosen.portal, "stop": "1" if chosen.replies else ""}
    if visit is None:
        return found | ({"phone": chosen.phone} if chosen.phone else {})
    occasion = visit_occasion(ctx, visit, kind.code, distinct="", seeds={}, expires=None)
    people = facts.people_of(visit, ctx.base)
    person = stored.by_name(ctx, people[:1]).get(people[0], {}) if people else {}
    real = {name: found[name] for name in ("clinic", "link", "stop")}
    return {**real, **occasion.values, "phone": chosen.phone, "person": facts.given_name(person)}


def _answer(ctx: Context, text: Text, source: str, rendered: Written, written: Written) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        *([{"name": "subject", "valueString": written.subject}] if written.subject else []),
        *([{"name": "text", "valueString": written.body}] if written.body else []),
        {"name": "language", "valueCode": text.language},
        {"name": "source", "valueCode": source},
        {"name": "characters", "valueInteger": len(written.body)},
    ]
    parts = 1
    if text.channel == "sms":
        measured = text_parts.measure(written.body)
        parts = measured.parts
        parameters += [{"name": "encoding", "valueCode": measured.encoding}, {"name": "parts", "valueInteger": parts}]
        if measured.forcing:
            parameters.append({"name": "forcing", "valueString": " ".join(measured.forcing)})
        if rendered.body != written.body:
            parameters.append({"name": "suggestion", "valueString": text_parts.in_gsm7(text.body)})
    prices = budget.plan(ctx.tenant)
    each = prices.costs.get(text.channel)
    if each is not None and prices.currency:
        parameters.append({"name": "cost", "valueMoney": {"value": each * parts, "currency": prices.currency}})
    return {"resourceType": "Parameters", "parameter": parameters}
