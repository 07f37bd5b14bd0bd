"""The bundled web pages: reception, doctor, patient, waiting room, manager.

They talk to the server only through `ui.fhir`, which is its FHIR interface as the signed-in person: whatever a page
shows or does, an EHR or a SMART app with the same rights can, too.
"""
