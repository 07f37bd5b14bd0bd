"""The FHIR interactions as plain functions, `ctx` first."""
