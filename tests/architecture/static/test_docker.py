"""The image and the compose file say what the rest of the project says; Docker itself is not needed to check that."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
_INSTRUCTIONS = frozenset("FROM LABEL RUN COPY WORKDIR ENV USER VOLUME EXPOSE HEALTHCHECK CMD ENTRYPOINT ARG".split())


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order: name and the rest, continuation lines joined."""
    joined = re.sub(r"\s*\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    return loaded


def test_dockerfile_has_known_instructions_and_pinned_bases() -> None:
    found = instructions(DOCKERFILE)
    assert {name for name, _ in found} <= _INSTRUCTIONS
    assert all(re.search(r":[\w.-]*\d", rest) for name, rest in found if name == "FROM")
    assert instructions("FROM a:1\nRUN x \\\n  && y\n")[1] == ("RUN", "x && y")


def test_image_does_not_run_as_root_and_is_watched() -> None:
    found = instructions(DOCKERFILE)
    names = [name for name, _ in found]
    user = next(rest for name, rest in found if name == "USER")
    assert user.split(":")[0] not in ("0", "root")
    assert names.index("USER") < names.index("CMD")
    assert "HEALTHCHECK" in names


def test_image_installs_only_what_the_lock_pins() -> None:
    installs = [rest for name, rest in instructions(DOCKERFILE) if name == "RUN" and "pip install" in rest]
    assert installs
    assert all("--require-hashes" in rest for rest in installs)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    let_in = re.findall(r"(?m)^!(.+)$", (ROOT / ".dockerignore").read_text())
    for name, rest in instructions(DOCKERFILE):
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert source.removeprefix("./") in let_in


def test_compose_has_every_program(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {"postgres", "valkey", "migrate", "web", "hub", "worker"} <= set(services)
    for name in ("web", "hub", "worker"):
        assert services[name]["command"][-1] == name
    assert services["postgres"]["image"].startswith("postgres:18")


def test_compose_services_are_watched_and_wait_for_each_other(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name not in ("web", "migrate", "commands"):
            assert service["healthcheck"]["test"], name
        for other in service.get("depends_on", {}):
            assert other in compose["services"]


def test_compose_holds_no_password(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text()
    assert "POSTGRES_PASSWORD:?" in text
    assert not re.search(r"(?i)password\s*[:=]\s*['\"]?[a-z0-9]{4,}", text)
