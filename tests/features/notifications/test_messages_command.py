"""fhir-server messages: what the operator sees of messages."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from fhir_server.cli import commands
from fhir_server.features.notifications.provider import Unclear, Unknowable
from tests.features.notifications.sending import Clinic, Scripted, use


def run(*arguments: str) -> Any:
    """A command's JSON."""
    result = CliRunner().invoke(commands, ["messages", *arguments, "--json"], standalone_mode=False)
    assert result.exception is None, result.output
    return json.loads(result.stdout)


def text(*arguments: str) -> str:
    """What a command prints for people."""
    result = CliRunner().invoke(commands, ["messages", *arguments], standalone_mode=False)
    assert result.exception is None, result.output
    return result.stdout


def test_list_dead_and_replay(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Scripted([Unclear("timeout")], Unknowable())
    with monkeypatch.context() as patch:
        use(provider, patch)
        clinic.enqueue(clinic.draft("o1"))
        assert [row["state"] for row in run("list", "--tenant", clinic.tenant.slug)] == ["queued"]
        assert run("dead", "--tenant", clinic.tenant.slug) == []
        clinic.tend()
        clinic.tend(minutes=2)
        (row,) = run("dead", "--tenant", clinic.tenant.slug)
        assert (row["state"], row["error"]) == ("dead", "unknown") and "2126" not in str(row)
        assert "unknown" in text("dead", "--tenant", clinic.tenant.slug)
        assert run("replay", row["id"], "--tenant", clinic.tenant.slug)["state"] == "sending"
        clinic.tend()
        clinic.tend()
        assert len(provider.sent) == 2


def test_a_replay_of_what_is_not_dead_says_why(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1"))
    number = run("list", "--tenant", clinic.tenant.slug)[0]["id"]
    result = CliRunner().invoke(commands, ["messages", "replay", number, "--tenant", clinic.tenant.slug], standalone_mode=False)
    assert "queued: only one that was given up" in str(result.exception)


def test_budget(clinic: Clinic) -> None:
    clinic.tenant_settings({"monthly_budget": "500.00", "currency": "MAD", "costs": {"sms": "0.05"}})
    clinic.enqueue(clinic.draft("o1"))
    clinic.tend()
    state = run("budget", "--tenant", clinic.tenant.slug)
    assert (state["used"], state["left"], state["budget"], state["currency"]) == ("0.05", "499.95", "500.00", "MAD")
    assert state["channels"] == [{"channel": "sms", "messages": 1, "parts": 1, "cost": "0.05"}]
    assert "used 0.05 of 500.00 MAD" in text("budget", "--tenant", clinic.tenant.slug)


def test_sandbox(clinic: Clinic) -> None:
    clinic.enqueue(clinic.draft("o1", text="Votre tour approche"))
    clinic.tend()
    (row,) = run("sandbox", "--tenant", clinic.tenant.slug)
    assert (row["to"], row["text"], row["channel"]) == ("+212612345678", "Votre tour approche", "sms")
    assert "sandbox" in text("list", "--tenant", clinic.tenant.slug)
    assert "30003" in text("sandbox", "--scenarios", "--tenant", clinic.tenant.slug)
