"""Processes that die with a message in their hands: nobody gets it twice, and nobody waits for ever."""

import os
import subprocess
import sys
import time

import pytest

from fhir_server.features.notifications import delivery, sandbox
from fhir_server.settings import ROOT, settings
from fhir_server.storage import sandbox_messages
from tests.features.notifications.sending import Clinic

_DIE = """
import os
from datetime import timedelta
from fhir_server.features.notifications import delivery, occasions, sandbox
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
occasions.still_wanted = lambda ctx, draft: draft
send = sandbox.Sandbox.send
def dying(self, ctx, outgoing):
    if "{when}" == "after":
        send(self, ctx, outgoing)
    os.kill(os.getpid(), 9)
sandbox.Sandbox.send = dying
db = session()
delivery.tend(server_context(db, refresh(db, "{slug}")))
"""


@pytest.mark.parametrize("lost", [False, True], ids=["callbacks arrive", "callbacks are lost"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_at_the_provider_s_door_sends_nothing_twice(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, when: str, lost: bool
) -> None:
    if lost:
        monkeypatch.setattr(sandbox, "play", lambda ctx: None)
    clinic.enqueue(clinic.draft("o1"))
    environment = {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT), "SALAM_PUBLIC_URL": ""}
    script = _DIE.format(when=when, slug=clinic.tenant.slug)
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=180)
    assert ended.returncode == -9, ended.stderr[-2000:]
    assert clinic.messages()["o1/sms"].state == "sending"
    clinic.tend()
    assert clinic.messages()["o1/sms"].state == "sending", "the lease still runs"
    clinic.tend(seconds=delivery.LEASE.seconds + 1)
    for _ in range(3):
        clinic.tend(seconds=5)
    assert clinic.messages()["o1/sms"].state == ("sent" if lost else "delivered")
    ctx = clinic.context()
    given = sandbox_messages.listed(ctx.db, ctx.tenant.id)
    ctx.db.commit()
    assert len(given) == 1


_STORM = """
import random, sys, time
from datetime import timedelta
from fhir_server.features.notifications import delivery, occasions, sandbox
from fhir_server.interactions.acting import server_context
from fhir_server.interactions.worlds import refresh
from fhir_server.rest.dispatch import session
occasions.still_wanted = lambda ctx, draft: draft
delivery.LEASE = timedelta(seconds=2)
send = sandbox.Sandbox.send
def slow(self, ctx, outgoing):
    time.sleep(random.random() / 50)
    heard = send(self, ctx, outgoing)
    time.sleep(random.random() / 5)
    return heard
sandbox.Sandbox.send = slow
while True:
    db = session()
    try:
        delivery.tend(server_context(db, refresh(db, "{slug}")))
    except Exception as error:
        # The worker tries again like this, with its next round.
        print(type(error).__name__, file=sys.stderr)
        db.rollback()
    time.sleep(0.05)
"""


@pytest.mark.slow
@pytest.mark.skipif("SALAM_STORMS" not in os.environ, reason="a storm that wants the machine to itself: SALAM_STORMS=1")
def test_workers_that_are_killed_again_and_again_send_each_message_once(clinic: Clinic) -> None:
    clinic.settings = {"monthly_budget": "100", "costs": {"sms": "0.05"}}
    count = 150
    for number in range(count):
        clinic.enqueue(clinic.draft(f"o{number}"))
    environment = {**os.environ, **settings.environment(), "PYTHONPATH": str(ROOT), "SALAM_PUBLIC_URL": ""}
    script = [sys.executable, "-c", _STORM.format(slug=clinic.tenant.slug)]
    kills, ends = 0, time.monotonic() + 180
    workers = [subprocess.Popen(script, env=environment) for _ in range(2)]
    try:
        while time.monotonic() < ends:
            time.sleep(0.4)
            states = [row.state for row in clinic.messages().values()]
            if set(states) <= {"sent", "delivered"}:
                break
            # Only those that work already: starting takes longer than what is between two kills.
            if states.count("queued") < count and kills < 12:
                workers[kills % 2].kill()
                workers[kills % 2].wait()
                workers[kills % 2] = subprocess.Popen(script, env=environment)
                kills += 1
                time.sleep(1.5)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    ctx = clinic.context()
    given = [row.message_id for row in sandbox_messages.listed(ctx.db, ctx.tenant.id, 1000)]
    ctx.db.commit()
    assert kills >= 2
    assert len(given) == len(set(given)) == count
    assert {row.state for row in clinic.messages().values()} <= {"sent", "delivered"}
