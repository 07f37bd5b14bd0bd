"""FHIRPath, compiled to closures. https://hl7.org/fhir/R4/fhirpath.html"""

from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.expression import (
    Expression,
    compile_expression,
    compile_node_expression,
    compile_parent,
    evaluate,
    paths_of,
)
from fhir_server.fhirpath.nodes import Env, Node, Nodes

__all__ = [
    "Env",
    "Expression",
    "FhirPathError",
    "Node",
    "Nodes",
    "compile_expression",
    "compile_node_expression",
    "compile_parent",
    "evaluate",
    "paths_of",
]
