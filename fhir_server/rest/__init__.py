"""FHIR over HTTP: route table, dispatch, bundles, formats, the WSGI edge."""
