"""Salam: a multi-tenant FHIR R4 server for clinics."""

__version__ = "0.1.0"
