"""What is measured, diagnosed and prescribed in the demo, with the codes that real systems use for it."""

from dataclasses import dataclass

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ATC = "http://www.whocc.no/atc"


@dataclass(frozen=True, slots=True)
class Measure:
    """A numeric observation: usual mean and spread, decimal places, and the reference range."""

    code: str
    display: str
    unit: str
    ucum: str
    mean: float
    spread: float
    places: int
    low: str | None = None
    high: str | None = None


@dataclass(frozen=True, slots=True)
class Disease:
    """A condition and, by code and text, what is prescribed for it."""

    snomed: str
    icd10: str
    display: str
    medication: tuple[str, str, str] | None = None
    chronic: bool = True


@dataclass(frozen=True, slots=True)
class Allergen:
    """An allergy with its AllergyIntolerance.category."""

    snomed: str
    display: str
    category: str


SYSTOLIC = Measure("8480-6", "Systolic blood pressure", "mmHg", "mm[Hg]", 126, 14, 0)
DIASTOLIC = Measure("8462-4", "Diastolic blood pressure", "mmHg", "mm[Hg]", 79, 9, 0)
HEIGHT = Measure("8302-2", "Body height", "cm", "cm", 168, 9, 0)
WEIGHT = Measure("29463-7", "Body weight", "kg", "kg", 72, 13, 1)

VITALS = (
    Measure("8867-4", "Heart rate", "beats/minute", "/min", 76, 10, 0),
    Measure("8310-5", "Body temperature", "°C", "Cel", 36.9, 0.5, 1),
    Measure("9279-1", "Respiratory rate", "breaths/minute", "/min", 16, 2, 0),
    Measure("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", "%", 97, 1.2, 0),
)

LABS = (
    Measure("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 104, 22, 0, "70", "99"),
    Measure("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", "%", 5.9, 0.9, 1, "4.0", "5.6"),
    Measure("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 0.94, 0.2, 2, "0.60", "1.30"),
    Measure("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "g/dL", 13.4, 1.5, 1, "12.0", "16.0"),
    Measure(
        "6690-2",
        "Leukocytes [#/volume] in Blood by Automated count",
        "10*3/uL",
        "10*3/uL",
        6.8,
        1.7,
        1,
        "4.0",
        "10.0",
    ),
    Measure(
        "777-3",
        "Platelets [#/volume] in Blood by Automated count",
        "10*3/uL",
        "10*3/uL",
        246,
        55,
        0,
        "150",
        "400",
    ),
    Measure("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", 140, 2.4, 0, "136", "145"),
    Measure("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", 4.2, 0.35, 1, "3.5", "5.1"),
    Measure("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 188, 32, 0, None, "200"),
    Measure(
        "1742-6",
        "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
        "U/L",
        "U/L",
        26,
        9,
        0,
        "7",
        "55",
    ),
    Measure("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/L", "mg/L", 4.5, 2.8, 1, None, "5.0"),
    Measure("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "mIU/L", "m[IU]/L", 2.1, 0.8, 2, "0.40", "4.00"),
)

DISEASES = (
    Disease("38341003", "I10", "Hypertensive disorder", ("C08CA01", "amlodipine", "5 mg once a day")),
    Disease("44054006", "E11.9", "Type 2 diabetes mellitus", ("A10BA02", "metformin", "500 mg twice a day with meals")),
    Disease("195967001", "J45.9", "Asthma", ("R03AC02", "salbutamol", "2 puffs when needed")),
    Disease(
        "61462000",
        "B54",
        "Malaria",
        ("P01BF01", "artemether and lumefantrine", "4 tablets twice a day for 3 days"),
        False,
    ),
    Disease("271737000", "D64.9", "Anemia", ("B03AA07", "ferrous sulfate", "200 mg once a day")),
    Disease("40930008", "E03.9", "Hypothyroidism", ("H03AA01", "levothyroxine sodium", "75 microgram every morning")),
    Disease("235595009", "K21.9", "Gastroesophageal reflux disease", ("A02BC01", "omeprazole", "20 mg once a day")),
    Disease("37796009", "G43.9", "Migraine", ("N02BE01", "paracetamol", "1 g when needed, at most 3 g a day")),
    Disease("55822004", "E78.5", "Hyperlipidemia", ("C10AA05", "atorvastatin", "20 mg every evening")),
    Disease("36971009", "J32.9", "Sinusitis", ("J01CA04", "amoxicillin", "1 g twice a day for 7 days"), False),
)

ALLERGIES = (
    Allergen("91936005", "Allergy to penicillin", "medication"),
    Allergen("91935009", "Allergy to peanut", "food"),
    Allergen("300913006", "Allergy to shellfish", "food"),
    Allergen("232350006", "Allergy to house dust mite", "environment"),
    Allergen("418689008", "Allergy to grass pollen", "environment"),
)

# Encounter.class and the reason for the visit (SNOMED CT code, display).
VISITS = (
    ("AMB", "ambulatory", "185349003", "Encounter for check up"),
    ("AMB", "ambulatory", "390906007", "Follow-up encounter"),
    ("AMB", "ambulatory", "185347001", "Encounter for problem"),
    ("EMER", "emergency", "50849002", "Emergency room admission"),
)
