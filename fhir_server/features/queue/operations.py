"""The operations of queues: profiles/queue/operations/."""

from fhir_server.features.queue import check_in_code, devices, links, self_check_in, snapshot, waiting_room
from fhir_server.features.queue.absent import absent
from fhir_server.features.queue.call_next import call_next, call_one
from fhir_server.features.queue.cancel import cancel_ticket
from fhir_server.features.queue.check_in import check_in_appointment, check_in_ticket
from fhir_server.features.queue.finish import finish
from fhir_server.features.queue.late_return import late_return
from fhir_server.features.queue.no_show import no_show
from fhir_server.features.queue.opening import change_opening
from fhir_server.features.queue.recall import recall
from fhir_server.features.queue.skip import skip
from fhir_server.features.queue.start import start
from fhir_server.features.queue.take_ticket import take_ticket
from fhir_server.features.queue.transfer import transfer
from fhir_server.features.queue.undo import undo
from fhir_server.operations.call import Table, Wired

_SHOWN: Table = {
    (kind, code): wired
    for file in (snapshot, links, check_in_code, devices, waiting_room, self_check_in)
    for (kind, code), wired in file.OPERATIONS.items()
}

OPERATIONS: Table = {
    ("HealthcareService", "take-ticket"): Wired(take_ticket),
    ("HealthcareService", "call-next"): Wired(call_next),
    ("HealthcareService", "open"): Wired(change_opening),
    ("HealthcareService", "pause"): Wired(change_opening),
    ("HealthcareService", "resume"): Wired(change_opening),
    ("HealthcareService", "close"): Wired(change_opening),
    ("Appointment", "check-in"): Wired(check_in_appointment),
    ("Task", "check-in"): Wired(check_in_ticket),
    ("Task", "call"): Wired(call_one, logs=True),
    ("Task", "recall"): Wired(recall),
    ("Task", "absent"): Wired(absent),
    ("Task", "return"): Wired(late_return),
    ("Task", "start"): Wired(start),
    ("Task", "finish"): Wired(finish),
    ("Task", "no-show"): Wired(no_show),
    ("Task", "skip"): Wired(skip, logs=True),
    ("Task", "transfer"): Wired(transfer),
    ("Task", "cancel"): Wired(cancel_ticket),
    ("Task", "undo"): Wired(undo),
    **_SHOWN,
}
