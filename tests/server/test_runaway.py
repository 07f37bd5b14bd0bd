"""A request that no limit of its own stops ends its web process, even in code that lets no other Python run."""

import os
import signal
import subprocess
import sys

from fhir_server.settings import ROOT

# A pattern that tries every way of sharing out the letters, in one call that holds the interpreter. Small ones first:
# together they take longer than one request may.
_RUNAWAY = """
import re
from fhir_server import app
for letters in (*[20] * 25, 60):
    print(letters, flush=True)
    app.fhir = lambda environ, start_response: re.match("(a+)+b", "a" * letters)
    app.app({"PATH_INFO": "/t/demo/fhir/Patient"}, None)
"""


def test_a_runaway_request_ends_its_process_and_says_where_it_was() -> None:
    environment = {**os.environ, "SALAM_REQUEST_CPU_SECONDS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", _RUNAWAY], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=240
    )
    assert ended.returncode == -signal.SIGPROF
    assert ended.stdout.split() == [*["20"] * 25, "60"]
    assert "most recent call first" in ended.stderr and "fhir_server/app.py" in ended.stderr
