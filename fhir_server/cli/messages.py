"""fhir-server messages list|dead|replay|budget|sandbox"""

from collections.abc import Callable
from typing import Any

import click

from fhir_server.cli import options
from fhir_server.core import clock
from fhir_server.core.context import Context
from fhir_server.features.notifications import budget, channels, dead_letters, sandbox
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
from fhir_server.security.sealing import Unsealable
from fhir_server.storage import sandbox_messages
from fhir_server.storage.sandbox_messages import SandboxMessage
from fhir_server.supervisor.instance import database
from integrations.messaging.sandbox.connector import SCENARIOS

_SANDBOX = "SMS and WhatsApp go to the sandbox: nothing is sent."


@click.group()
def messages() -> None:
    """List, replay and count messages to people; watch the sandbox."""


def _in_tenant(slug: str, work: Callable[[Context], Any]) -> Any:
    with database():
        db = session()
        ctx = server_context(db, refresh(db, slug))
        with db.hold():
            found = work(ctx)
        db.commit()
    return found


def _print(rows: list[dict[str, Any]], as_json: bool, none: str) -> None:
    lines = [
        f"{row['id']}  {row['channel']:8}  {row['kind']}  {row['state']}, attempts {row['attempts']}"
        f", due {row['next_attempt']}{', ' + row['error'] if row['error'] else ''}"
        for row in rows
    ]
    if channels.sandboxed():
        none += "\n" + _SANDBOX
        lines.append(_SANDBOX)
    options.show(rows, as_json, "\n".join(lines) if rows else none)


@messages.command("list")
@options.tenant
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@options.as_json
@options.data
def list_(slug: str, limit: int, as_json: bool) -> None:
    """List the messages that wait, are on their way or were given up, the latest change first."""
    rows = _in_tenant(slug, lambda ctx: dead_letters.listed(ctx, limit=limit))
    _print(rows, as_json, "No message waits.")


@messages.command()
@options.tenant
@options.as_json
@options.data
def dead(slug: str, as_json: bool) -> None:
    """List the messages that were given up."""
    rows = _in_tenant(slug, lambda ctx: dead_letters.listed(ctx, ("dead",), 1000))
    _print(rows, as_json, "No message was given up.")


@messages.command()
@click.argument("message", type=int)
@options.tenant
@options.as_json
@options.data
def replay(message: int, slug: str, as_json: bool) -> None:
    """Have a message that was given up tried again, by its number."""
    row = _in_tenant(slug, lambda ctx: dead_letters.replay(ctx, message))
    options.show(row, as_json, f"Message {message} is tried again.")


@messages.command("budget")
@options.tenant
@options.as_json
@options.data
def budget_(slug: str, as_json: bool) -> None:
    """Show what of this month's budget is used."""
    state = _in_tenant(slug, lambda ctx: budget.state(ctx.db, ctx.tenant, clock.now()))
    limit = f"of {state['budget']}" if state["budget"] else "(no limit)"
    lines = [f"{state['month']}  used {state['used']} {limit} {state['currency']}".rstrip()]
    lines += [
        f"  {row['channel']:8}  {row['messages']} messages, {row['parts']} parts, {row['cost']}"
        for row in state["channels"]
    ]
    options.show(state, as_json, "\n".join(lines))


@messages.command("sandbox")
@options.tenant
@click.option("--scenarios", is_flag=True, help="List what the ends of numbers try out, and nothing else.")
@options.as_json
@options.data
def sandbox_(slug: str, scenarios: bool, as_json: bool) -> None:
    """Show the latest messages that the sandbox was given, with their text."""
    if scenarios:
        options.show(dict(SCENARIOS), as_json, "\n".join(f"…{end}  {what}" for end, what in SCENARIOS.items()))
        return
    rows = _in_tenant(
        slug, lambda ctx: [_given(ctx, each) for each in sandbox_messages.listed(ctx.db, ctx.tenant.id)]
    )
    lines = [f"{row['id']}  {row['channel']:8}  {row['to']}  {row['status']}\n    {row['text']}" for row in rows]
    options.show(rows, as_json, "\n".join(lines) or "The sandbox was given nothing.")


def _given(ctx: Context, message: SandboxMessage) -> dict[str, str]:
    try:
        given = sandbox.opened(ctx, message)
    except Unsealable:
        given = sandbox.Given("", "(its key was destroyed)", "")
    return {
        "id": message.provider_id,
        "channel": message.channel,
        "to": given.address,
        "status": message.status,
        "text": given.text,
    }
