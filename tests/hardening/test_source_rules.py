"""What the source must not do, read from its syntax trees (security-reliability.md 7, number 45)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "fhir_server").rglob("*.py"))

# Module: the only files that may import it.
RESERVED = {
    "pickle": (), "marshal": (), "shelve": (), "yaml": (), "requests": (), "httpx": (), "aiohttp": (), "urllib3": (),
    # Reads a file of this server's own.
    "xml.etree": ("core/ucum/table.py",),
    "xml.dom": (), "xml.sax": (), "lxml": (), "telnetlib": (), "ftplib": (), "http.client": ("security/outbound.py", "simulation/"),
    "ssl": ("security/outbound.py", "security/mailing.py"),
    # Asks its own server whether it is up.
    "urllib.request": ("supervisor/run.py",),
    # When to sweep, demo data, samples of the check, a play: never what nobody may guess.
    "random": (
        *("storage/throttles.py", "security/oauth/tokens.py", "interactions/reindex.py"),
        *("demo/", "simulation/"),
    ),
}  # fmt: skip
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}
_COMPILERS = ("fhirpath/", "search/", "conformance/", "validation/")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.AST]:
    return {str(file.relative_to(ROOT / "fhir_server")): ast.parse(file.read_text()) for file in FILES}


@pytest.fixture(scope="module")
def imported(trees: dict[str, ast.AST]) -> dict[str, set[str]]:
    """What each file imports."""
    return {name: set(imports(tree)) for name, tree in trees.items()}


# sec-45
@pytest.mark.parametrize("module", RESERVED)
def test_modules_that_are_dangerous_here(imported: dict[str, set[str]], module: str) -> None:
    users = {
        name for name, names in imported.items() if any(each == module or each.startswith(module + ".") for each in names)
    }
    assert {name for name in users if not name.startswith(tuple(RESERVED[module]))} == set()


# sec-45
def test_nothing_runs_text_as_code_or_as_a_shell(trees: dict[str, ast.AST]) -> None:
    found = []
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            owner = getattr(getattr(node.func, "value", None), "id", "")
            bare = isinstance(node.func, ast.Name) or owner in ("os", "builtins", "subprocess")
            if called in FORBIDDEN_CALLS and bare and not name.startswith(_COMPILERS):
                found.append(f"{name}:{node.lineno} {called}")
            if any(word.arg == "shell" and getattr(word.value, "value", False) for word in node.keywords):
                found.append(f"{name}:{node.lineno} shell")
            if any(word.arg == "verify" and getattr(word.value, "value", True) is False for word in node.keywords):
                found.append(f"{name}:{node.lineno} verify=False")
    assert found == []


# sec-45, sec-T22
def test_templates_escape_everything() -> None:
    for file in (ROOT / "fhir_server").rglob("*.html"):
        text = file.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape\s+false|Markup", text), file
        assert not re.search(r"\son[a-z]+\s*=|javascript:|<script(?![^>]*\ssrc=)|<style", text, re.IGNORECASE), file


# sec-45: a pattern that somebody sends is never given to `re`.
def test_patterns_are_written_in_the_source(trees: dict[str, ast.AST]) -> None:
    found = []
    for name, tree in trees.items():
        if name.startswith(("conformance/", "terminology/", "validation/", "fhirpath/")):
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and getattr(getattr(node.func, "value", None), "id", "") == "re"
                and getattr(node.func, "attr", "") in ("compile", "match", "search", "fullmatch", "sub", "findall", "split")
                and node.args
                and not _constant(node.args[0])
            ):
                found.append(f"{name}:{node.lineno}")
    assert found == []


def _constant(node: ast.expr) -> bool:
    """A literal, or one put together of literals and module constants (capitals)."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return all(_constant(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _constant(node.value)
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "escape":
        return True
    if isinstance(node, ast.BinOp):
        return _constant(node.left) and _constant(node.right)
    return isinstance(node, ast.Name) and node.id.isupper()


# sec-45, sec-T25: SQL text is put together of constants; what is sent travels as a parameter.
def test_no_sql_outside_of_storage(trees: dict[str, ast.AST]) -> None:
    statement = re.compile(r"\b(?:SELECT .+ FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b", re.DOTALL)
    allowed = ("storage/", "search/", "security/access", "security/consent_filter", "supervisor/", "cli/remove_data")
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees.items()
        if not name.startswith(allowed)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and any(
            isinstance(part, ast.Constant) and statement.search(str(part.value)) for part in node.values
        )
    ]  # fmt: skip
    assert found == []
