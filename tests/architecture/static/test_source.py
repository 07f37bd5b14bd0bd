"""Rules about the source text: sizes, names, words that mean unfinished work."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULE_LINES, FUNCTION_LINES = 400, 60
# Generated tables may be long; each line says what writes it.
GENERATED: frozenset[str] = frozenset()
_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|manager|service|misc)$")
# Split, so that this file does not find itself.
_UNFINISHED = re.compile(r"TO" r"DO\b|FIX" r"ME\b|NotImplemented" r"Error|pragma: no " r"cover|mark\.s" r"kip\b")
_HOSTS = re.compile(r"https?://|file:/|registry\.|pypi\.org|npmjs")


def _sources() -> Iterator[Path]:
    yield ROOT / "dev.py"
    for folder in ("fhir_server", "integrations", "migrations", "tests", "bench", "scripts", "profiles"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def too_long(name: str, text: str) -> list[str]:
    """What of a module's text is over the limits."""
    found = []
    count = text.count("\n")
    if count > MODULE_LINES:
        found.append(f"{name} has {count} lines")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{name}: {node.name} has {length} lines")
    return found


@pytest.mark.parametrize("path", list(_sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_source_keeps_the_rules(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    assert not _NAMES.search(path.stem), "the name says nothing about what is in it"
    assert not _UNFINISHED.findall(text), "unfinished work"
    if name not in GENERATED:
        assert not too_long(name, text)


def test_a_long_module_and_a_long_function_are_found() -> None:
    text = "def f() -> None:\n" + "    x = 1\n" * 450
    assert too_long("m", text) == ["m has 451 lines", "m: f has 451 lines"]


@pytest.mark.parametrize("name", ["fhir_utils", "helper", "common", "token_manager", "service"])
def test_names_that_say_nothing_are_found(name: str) -> None:
    assert _NAMES.search(name)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "tests/clients/node/package-lock.json"])
def test_locks_are_hashed_and_name_no_registry(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not _HOSTS.search(re.sub(r'"url": "https://[^"]*"', "", text)), "a lock names packages, not where they are"
    assert ("--hash=sha256:" in text) if name.endswith(".lock") else ('"integrity": "sha512-' in text)


def test_the_runtime_lock_is_part_of_the_development_lock() -> None:
    pinned = [set(re.findall(r"^[\w.-]+==\S+", (ROOT / name).read_text(), re.M)) for name in
              ("requirements.lock", "requirements-dev.lock")]  # fmt: skip
    assert pinned[0] <= pinned[1]


def test_the_package_needs_what_the_lock_is_made_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and line[0] != "#"]
    assert project["dependencies"] == wanted
