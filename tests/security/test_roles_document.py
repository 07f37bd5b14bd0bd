"""docs/howto/users-and-roles.md tells of every role what profiles/security/roles.json says."""

import json

import pytest

from fhir_server.settings import ROOT

_ROLES = json.loads((ROOT / "profiles/security/roles.json").read_text())["roles"]
_TEXT = (ROOT / "docs/howto/users-and-roles.md").read_text()


def row(name: str) -> str:
    """A role as a row of the table."""
    role = _ROLES[name]
    rights = ", ".join(text.removeprefix("user/") for text in role["rights"])
    columns = [name, " or ".join(role["fhir_user"]) or "–", f"`{rights}`", ", ".join(role["withheld"]) or "–"]
    return "| " + " | ".join([*columns, ", ".join(role["may"]) or "–"]) + " |"


@pytest.mark.parametrize("name", _ROLES)
def test_role(name: str) -> None:
    assert row(name) in _TEXT
