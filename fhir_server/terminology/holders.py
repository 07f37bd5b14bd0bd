"""Whose some code systems are that a site imports itself, as messages name them.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

from collections.abc import Mapping

HOLDERS: Mapping[str, str] = {
    "http://snomed.info/sct": "SNOMED CT (licensed by SNOMED International)",
    "http://loinc.org": "LOINC (licensed by Regenstrief)",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm (NLM)",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10 (WHO)",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://www.ama-assn.org/go/cpt": "CPT (licensed by the AMA)",
    "http://www.whocc.no/atc": "ATC (WHO)",
    "http://hl7.org/fhir/sid/cvx": "CVX (CDC)",
    "http://hl7.org/fhir/sid/ndc": "NDC (FDA)",
    "http://unitsofmeasure.org": "UCUM, which is a grammar and cannot be listed",
    "urn:ietf:bcp:47": "BCP 47 languages, which is a grammar and cannot be listed",
    "urn:ietf:bcp:13": "BCP 13 media types, which is a grammar and cannot be listed",
}
