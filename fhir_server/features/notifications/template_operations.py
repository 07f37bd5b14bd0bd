"""ActivityDefinition/$message-template: the text behind a message before anything is filled in, to begin one's own
with."""

from typing import Any

from fhir_server.core.context import Context
from fhir_server.core.errors import Invalid
from fhir_server.features.notifications import templates
from fhir_server.features.notifications.kinds import channels, kinds
from fhir_server.operations.call import OperationCall, Table, Wired
from fhir_server.security import policy


def message_template(ctx: Context, call: OperationCall) -> dict[str, Any]:
    """Parameters with the default's subject and body where there is one, the names that templates of this kind may use,
    and how long subject and text may be."""
    policy.allow(ctx, "read", "ActivityDefinition")
    kind, channel = _known(call, "kind", kinds()), _known(call, "channel", channels())
    found = templates.default_text(kind.code, channel.code, str(call.parameters["language"]))
    shown: list[dict[str, Any]] = []
    if found is not None:
        shown += [{"name": "subject", "valueString": found.subject}] if found.subject else []
        shown.append({"name": "body", "valueString": found.body})
    for name, form in kind.names:
        parts = [{"name": "name", "valueCode": name}, {"name": "form", "valueCode": form}]
        shown.append({"name": "name", "part": parts})
    shown += [
        {"name": "subject-characters", "valueUnsignedInt": channel.subject},
        {"name": "characters", "valueUnsignedInt": channel.text},
    ]
    return {"resourceType": "Parameters", "parameter": shown}


def _known(call: OperationCall, name: str, known: Any) -> Any:
    code = str(call.parameters[name])
    if code not in known:
        raise Invalid(f"{name} takes one of {', '.join(known)}.", expression=f"http.{name}", code="value")
    return known[code]


OPERATIONS: Table = {("ActivityDefinition", "message-template"): Wired(message_template)}
