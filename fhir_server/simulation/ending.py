"""The end of a simulated day: who still waits goes home, and who is absent is given up by the server itself."""

import time

from fhir_server.simulation.api import Api, Json
from fhir_server.simulation.place import QUEUE, SECOND
from fhir_server.simulation.record import Record

# Longer than the grace period of a minute, after which the server ends a ticket within some seconds.
_SECONDS = 75.0
_OPEN = "requested,accepted,ready,on-hold,in-progress"


def end(api: Api, record: Record) -> None:
    """Return when every ticket of the queues has come to its end, or that takes too long."""
    deadline = time.monotonic() + _SECONDS
    while (left := _open(api)) and time.monotonic() < deadline:
        for task in left:
            if task["status"] in ("requested", "accepted"):
                api.run(f"Task/{task['id']}/$cancel", reason={"valueString": "The clinic closes"})
                record.count("sent home")
        time.sleep(1.0)


def _open(api: Api) -> list[Json]:
    queues = ",".join(f"HealthcareService/{queue}" for queue in (QUEUE, SECOND))
    return [entry["resource"] for entry in api.every(f"Task?queue={queues}&status={_OPEN}&_count=200")]
