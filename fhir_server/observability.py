"""One log line and two metrics per request, and a metric of messages to people. None holds patient data: no path below
the type, no parameter values, no address."""

import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter, Histogram

_REQUESTS = Counter("fhir_requests_total", "FHIR requests.", ["method", "status"])
_SECONDS = Histogram(
    "fhir_request_seconds",
    "Seconds from the first byte of a FHIR request to its answer.",
    ["method"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
_MESSAGES = Counter("fhir_messages_total", "Messages to people, each time one got another state.", ["channel", "state"])
_counters: dict[tuple[str, int], Any] = {}
_histograms: dict[str, Any] = {}
_log = structlog.get_logger("fhir_server.request")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class _JsonFormatter(logging.Formatter):
    """The standard library's records in the shape of structlog's lines."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"logger": record.name, "event": record.getMessage(), "level": record.levelname.lower()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return msgspec.json.encode(line).decode()


class _RequestLine:
    """The line of each request, past structlog: its chain of processors costs 15 µs, a tenth of a read."""

    def __init__(self) -> None:
        self.wanted = False
        self._encode = msgspec.json.Encoder().encode
        self._second = 0
        self._stamp = ""

    def write(self, line: dict[str, Any]) -> None:
        """One write of one whole line, so that lines of several processes do not mix."""
        second = int(time.time())
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        line["timestamp"] = self._stamp
        os.write(2, self._encode(line) + b"\n")


_line = _RequestLine()


def configure(level: str = "INFO") -> None:
    """JSON lines on standard error, for structlog and for the standard library's loggers alike."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: msgspec.json.encode(value)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    _line.wanted = number <= logging.INFO
    logging.basicConfig(level=number, handlers=[handler])


def observe(tenant: str, request_id: str, method: str, status: int, seconds: float, database: float) -> None:
    """Count a finished request and write its line. `seconds` in all, `database` of them waiting for PostgreSQL."""
    name = method if method in _METHODS else "other"
    counter = _counters.get((name, status))
    if counter is None:
        counter = _counters[name, status] = _REQUESTS.labels(name, str(status))
        _histograms.setdefault(name, _SECONDS.labels(name))
    counter.inc()
    _histograms[name].observe(seconds)
    if _line.wanted:
        _line.write(
            {
                "tenant": tenant,
                "request_id": request_id,
                "method": name,
                "status": status,
                "ms": round(seconds * 1000, 2),
                "db_ms": round(database * 1000, 2),
                "event": "request",
                "level": "info",
            }
        )


def count_message(channel: str, state: str) -> None:
    """Count a message that got another state: sent, delivered, failed, dead, stopped, or queued to be tried again."""
    _MESSAGES.labels(channel, state).inc()
