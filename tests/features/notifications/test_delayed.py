"""The state says what is delayed: `fhir-server check` and the metrics, without a word about anybody."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest

from fhir_server.cli import commands
from fhir_server.core import clock
from fhir_server.features.notifications.provider import Refused
from fhir_server.storage import feed_positions
from tests.features.notifications.sending import Clinic, Scripted, use


def check(clinic: Clinic, *more: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(commands, ["check", "--tenant", clinic.tenant.slug, *more], standalone_mode=False)
    assert result.exception is None and not result.return_value, result.output
    return result.stdout


def counted(channel: str, state: str) -> float:
    """The counter of messages."""
    name = f'fhir_messages_total{{channel="{channel}",state="{state}"}} '
    lines = [line for line in generate_latest().decode().splitlines() if line.startswith(name)]
    return float(lines[0].removeprefix(name)) if lines else 0.0


def test_what_waits_and_what_is_late(clinic: Clinic) -> None:
    quiet = check(clinic)
    assert "Messages: 0 wait, 0 are being sent, 0 were given up; SMS and WhatsApp go to the sandbox" in quiet
    assert "none is delayed" in quiet
    clinic.enqueue(clinic.draft("o1"))
    clinic.enqueue(clinic.draft("o2", not_before=clock.now() + timedelta(hours=1)))
    clock.move(timedelta(seconds=90))
    health = json.loads(check(clinic, "--json"))["messages"]
    assert (health["queued"], health["late"], health["dead"], health["sandbox"]) == (2, 1, 0, True)
    assert 90 <= health["late_seconds"] < 120
    said = check(clinic)
    assert "2 wait" in said and "1 late, the first by 9" in said and "2126" not in said


def test_followers_that_are_delayed_or_set_something_aside(clinic: Clinic) -> None:
    def states() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(check(clinic, "--json"))["followers"]
        return found

    ctx = clinic.context()
    feed_positions.due(ctx.db, ctx.tenant.id, ["slow", "well"], clock.now())
    clinic.tenant.client().create({"resourceType": "Patient"})
    ctx = clinic.context()
    feed_positions.failed(ctx.db, ctx.tenant.id, "slow", clock.now() + timedelta(minutes=5), (0, 0))
    clock.move(timedelta(minutes=2))
    slow = states()[0]
    assert (slow["name"], slow["failures"], slow["parked"]) == ("slow", 1, 0) and 119 <= slow["behind_seconds"] < 140
    said = check(clinic)
    assert "The follower slow is 1" in said and "failed 1 times in a row" in said and "none is delayed" not in said


def test_messages_are_counted_by_channel_and_state_only(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, failed = counted("sms", "sent"), counted("sms", "failed")
    use(Scripted([Refused("21211", "invalid-phone")]), monkeypatch)
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    assert (counted("sms", "sent"), counted("sms", "failed")) == (sent, failed + 1)
    assert "212612345678" not in generate_latest().decode()
