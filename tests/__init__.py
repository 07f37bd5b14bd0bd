"""The tests; folders mirror the rooms of fhir_server."""
