"""What features check when a client writes a resource itself, by type."""

from collections.abc import Mapping, Sequence

from fhir_server.core.context import Guard
from fhir_server.features.notifications import templates
from fhir_server.features.queue import configuration
from fhir_server.features.scheduling import appointments, parameters, questionnaires

GUARDS: Mapping[str, Sequence[Guard]] = {
    "ActivityDefinition": (templates.guard,),
    "Appointment": (appointments.guard,),
    "HealthcareService": (parameters.guard, configuration.guard),
    "QuestionnaireResponse": (questionnaires.guard,),
    "Schedule": (parameters.guard,),
}
