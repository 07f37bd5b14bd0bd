"""The formats that can be imported."""

from collections.abc import Mapping

from fhir_server.terminology.importers import (
    atc,
    code_system,
    csv_table,
    icd10,
    icd10_cm,
    loinc,
    rxnorm,
    snomed,
    tariff,
)  # fmt: skip
from fhir_server.terminology.importers.records import Importer

FORMATS: Mapping[str, Importer] = {
    "csv": csv_table.IMPORTER,
    "fhir": code_system.IMPORTER,
    "snomed": snomed.IMPORTER,
    "loinc": loinc.IMPORTER,
    "icd-10": icd10.IMPORTER,
    "icd-10-cm": icd10_cm.IMPORTER,
    "atc": atc.IMPORTER,
    "tariff": tariff.IMPORTER,
    "rxnorm": rxnorm.IMPORTER,
}
