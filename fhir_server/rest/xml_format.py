"""FHIR XML in both directions, driven by the structures, without loss.

https://hl7.org/fhir/R4/xml.html, https://hl7.org/fhir/R4/json.html
"""

from fhir_server.rest.xml_reader import from_xml
from fhir_server.rest.xml_writer import to_xml

__all__ = ["from_xml", "to_xml"]
