"""Fixed codes of FHIR, HL7 and the service itself that the readers compare with.

Medical concepts are not here: they are value sets in `knowledge/`. What was verified, and where,
is in docs/knowledge.md.
"""

BASE = "https://backpain-cds.example.org/fhir"
FINDING = f"{BASE}/CodeSystem/finding"
VALUE_SET = f"{BASE}/ValueSet/"
QUESTIONNAIRE = f"{BASE}/Questionnaire/red-flags"
REVIEWED_CODE = f"{BASE}/StructureDefinition/reviewed-code"

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"

# Short names in a site's CSV files.
SYSTEM_NAMES = {"snomed": SNOMED, "loinc": LOINC, "icd10cm": ICD10CM, "rxnorm": RXNORM}
SYSTEM_TITLES = {SNOMED: "SNOMED CT", LOINC: "LOINC", ICD10CM: "ICD-10-CM", RXNORM: "RxNorm", FINDING: "our own"}
"""System -> what people call it."""

# Other spellings of the same systems that charts carry; the one with a space was seen in a certified product.
SYSTEM_ALIASES = {
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "http: //snomed.info/sct": SNOMED,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "urn:oid:2.16.840.1.113883.6.90": ICD10CM,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
}

# Each HL7 system under its R4 name and under the name that DSTU2 and STU3 gave it.
V2_YES_NO = frozenset({"http://terminology.hl7.org/CodeSystem/v2-0136", "http://hl7.org/fhir/v2/0136"})
V3_ACT_CODE = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "http://hl7.org/fhir/v3/ActCode",
        "urn:oid:2.16.840.1.113883.5.4",
    }
)
INTERPRETATION = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
        "http://terminology.hl7.org/CodeSystem/v2-0078",
        "http://hl7.org/fhir/v2/0078",
    }
)
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def _spellings(system: str) -> frozenset[str]:
    """Return every name under which charts write a system."""
    return frozenset({system, *(alias for alias, name in SYSTEM_ALIASES.items() if name == system)})


def _codings(*groups: tuple[frozenset[str], tuple[str, ...]]) -> frozenset[tuple[str, str]]:
    """Return (system, code) pairs for each spelling of each system."""
    return frozenset((system, code) for systems, codes in groups for system in systems for code in codes)


_SNOMED, _LOINC = _spellings(SNOMED), _spellings(LOINC)

# Catalogue, section 2 rule 6: coded answers. Any other coded value states nothing.
YES = _codings(
    (V2_YES_NO, ("Y",)),
    (_LOINC, ("LA33-6", "LA9633-4")),
    (_SNOMED, ("373066001", "52101004", "10828004", "410515003")),
)
NO = _codings(
    (V2_YES_NO, ("N",)),
    (_LOINC, ("LA32-8", "LA9634-2")),
    (_SNOMED, ("373067005", "2667000", "260385009", "410516002")),
)

# Catalogue, section 2 rule 6: Observation codes under which value[x] names the finding that is present.
ASSERTION_CODES = ("75325-1", "404684003", "ASSERTION")
ASSERTIONS = _codings((_LOINC, ("75325-1",)), (_SNOMED, ("404684003",)), (V3_ACT_CODE, ("ASSERTION",)))

# Condition.severity (HL7 ValueSet condition-severity).
SEVERITY = {
    (system, code): name
    for code, name in (("24484000", "severe"), ("6736007", "moderate"), ("255604002", "mild"))
    for system in _SNOMED
}

# Catalogue, section 2 rule 9: laboratory flags. ABNORMAL means raised for ESR and CRP and nothing otherwise.
RAISED = frozenset({"H", "HH", "HU", ">"})
LOWERED = frozenset({"L", "LL", "LU", "<"})
NORMAL = frozenset({"N"})
ABNORMAL = frozenset({"A", "AA"})
POSITIVE, NEGATIVE = "POS", "NEG"

# Catalogue, section 2 rules 2 and 3.
CLINICAL_ACTIVE = frozenset({"active", "recurrence", "relapse"})
CLINICAL_RETURNED = frozenset({"recurrence", "relapse"})
VERIFICATION_TENTATIVE = frozenset({"provisional", "differential", "unconfirmed"})
REFUTED, ENTERED_IN_ERROR = "refuted", "entered-in-error"
