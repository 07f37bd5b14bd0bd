"""`&`: strings joined, where empty counts as the empty string. https://hl7.org/fhirpath/N1/#string-concatenation"""

from fhir_server.fhirpath.compiled import Compiled
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.nodes import KINDS, STRING, Env, Nodes, text


def concatenated(left: Compiled, right: Compiled) -> Compiled:
    """`left & right`. `a & b & c` is one join of three."""
    before = left.joined[1] if left.joined is not None and left.joined[0] == "&" else (left,)
    operands = (*before, right)
    # What is written out is a text already.
    parts = tuple([each.text() or each.run for each in operands])

    def run(this: Nodes, env: Env) -> Nodes:
        texts = []
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            nodes = part(this, env)
            if nodes:
                type_, value, _ = nodes[0]
                if len(nodes) > 1:
                    raise FhirPathError(f"'&' needs one item but was given {len(nodes)}.")
                if KINDS.get(type_) != STRING:
                    raise FhirPathError(f"'&' joins strings, not {type_}.")
                texts.append(value or "")
        return text("".join(texts))

    return Compiled(run, None, joined=("&", operands))
