"""The programs that an instance consists of, and how each is started and stopped."""

import os
import shutil
import signal
import sys
from pathlib import Path

from fhir_server.settings import ROOT, settings
from fhir_server.supervisor import postgres, valkey
from fhir_server.supervisor.layout import Layout
from fhir_server.supervisor.process import Child


def postgres_server(layout: Layout) -> Child:
    """The embedded PostgreSQL."""
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
    return Child(
        "postgres",
        postgres.command(layout),
        layout.logs / "postgres.log",
        environment,
        stop_signal=signal.SIGINT,
        stop_seconds=120,
        popen_user=layout.popen_user(),
        before=lambda: postgres.prepare_cluster(layout),
    )


def valkey_server(layout: Layout) -> Child:
    """The embedded Valkey."""
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    log = layout.logs / "valkey.log"
    return Child("valkey", valkey.command(layout), log, environment, stop_seconds=10, popen_user=layout.popen_user())


def own(layout: Layout) -> list[Child]:
    """The server's own processes, in the order they start; they stop in the reverse order."""
    metrics = layout.run / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(mode=0o700)
    environment = {**os.environ, **settings.environment(), "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    counting = {**environment, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    logs = layout.logs
    return [
        Child("hub", hub_command(), logs / "hub.log", environment),
        Child("worker", worker_command(layout.run), logs / "worker.log", counting),
        Child("web", web_command(), logs / "web.log", counting, stop_seconds=45),
    ]


def web_command() -> list[str]:
    """granian with the WSGI application."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", settings.host),
        *("--port", str(settings.port)),
        *("--workers", str(settings.web_workers), "--blocking-threads", str(settings.web_threads)),
        *("--backlog", "1024", "--no-ws", "--http", "1", "--respawn-failed-workers", "--workers-kill-timeout", "40"),
        *("--log-level", "warning", "fhir_server.app:app"),
    ]


def hub_command() -> list[str]:
    """granian with the ASGI application of the event hub."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--host", settings.host),
        *("--port", str(settings.hub_port), "--workers", "1", "--http", "1", "--respawn-failed-workers"),
        # Streams do not end by themselves, and their clients come back to what they missed.
        *("--workers-kill-timeout", "1", "--log-level", "warning", "fhir_server.hub:app"),
    ]


def worker_command(run: Path) -> list[str]:
    """A Celery worker with the beat in it (one per instance)."""
    return [
        *(sys.executable, "-m", "celery", "--app", "fhir_server.worker:celery", "--quiet", "worker"),
        *("--pool", "threads", "--concurrency", "2", "--beat", "--schedule", str(run / "beat")),
        *("--loglevel", settings.log_level, "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
