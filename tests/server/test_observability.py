"""Logs are JSON lines, and say nothing about patients."""

import json
import subprocess
import sys

from fhir_server.settings import ROOT

_PROGRAM = """
import logging
from fhir_server import observability
observability.configure("info")
observability.observe("clinic", "r1", "GET", 200, 0.0012, 0.0005)
observability.observe("clinic", "r2", "BREW", 405, 0.001, 0.0)
logging.getLogger("some.library").warning('he said "%s"', "no")
logging.getLogger("some.library").debug("too small to tell")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("some.library").exception("failed")
"""


def _lines() -> list[dict[str, object]]:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True, cwd=ROOT)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_is_json_whoever_wrote_it() -> None:
    first, second, warning, failure = _lines()
    for line in (first, second, warning, failure):
        assert isinstance(line["timestamp"], str)
        assert line["timestamp"].endswith("Z")
    assert (warning["event"], warning["level"], warning["logger"]) == ('he said "no"', "warning", "some.library")
    assert failure["level"] == "error"
    assert "ZeroDivisionError" in str(failure["exception"])


def test_a_request_is_one_line_without_its_path() -> None:
    first, second, *_ = _lines()
    assert set(first) == {"timestamp", "level", "event", "tenant", "request_id", "method", "status", "ms", "db_ms"}
    assert (first["method"], first["status"], first["ms"], first["db_ms"]) == ("GET", 200, 1.2, 0.5)
    assert second["method"] == "other"
