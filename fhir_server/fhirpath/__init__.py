"""FHIRPath, compiled to closures. https://hl7.org/fhir/R4/fhirpath.html"""

from fhir_server.fhirpath.errors import CannotTell, FhirPathError
from fhir_server.fhirpath.expression import (
    Expression,
    compile_expression,
    compile_node_expression,
    compile_parent,
    evaluate,
    evaluate_on,
    paths_of,
)
from fhir_server.fhirpath.nodes import Env, Node, Nodes
from fhir_server.fhirpath.services import Services

__all__ = [
    "CannotTell",
    "Env",
    "Expression",
    "FhirPathError",
    "Node",
    "Nodes",
    "Services",
    "compile_expression",
    "compile_node_expression",
    "compile_parent",
    "evaluate",
    "evaluate_on",
    "paths_of",
]
