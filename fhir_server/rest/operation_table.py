"""Every $-operation of this server: the generic ones and those of the features."""

from fhir_server.operations.call import Table
from fhir_server.operations.dispatch import GENERIC

OPERATIONS: Table = {**GENERIC}
