"""Whose each line is, in SQL that DuckDB and Spark both understand (catalogue, section 2 rule 1).

One text for both engines, so that both group alike. A pattern has no backslash: Spark would read it as an escape.
"""

# ruff: noqa: S608 (the SQL is put together from our own names and quoted paths)

from fhir_profiles import resources as fhir

BUNDLE = "Bundle"
WANTED = tuple(sorted({kind.__name__ for kind in fhir.READ} - {"OperationOutcome"} | {BUNDLE}))
"""Types that are kept; of the others nothing is read anyway."""

_ID = "([A-Za-z0-9.-]+)(?:[/]_history[/].*)?$"


def keyed(lines: str, extract: str, fhir_server: str = "") -> str:
    """A query over `lines` (columns line, file): chart, kind, medication, line, file.

    chart: id of the patient, or of a Bundle by its content; "" where the line names no patient. kind: "" for what is no
    FHIR resource, "OperationOutcome" or one of WANTED; other types are left out. medication: id of the Medication that
    it is or refers to, or "". extract: the engine's function for a JSON path. fhir_server: base of absolute references.
    """
    base = _optional(fhir_server)
    subject = f"^{base}(?:Patient[/]|urn:uuid:){_ID}"
    medication = f"^{base}Medication[/]{_ID}"
    return f"""
        SELECT line, file, kind,
            CASE WHEN kind = '{BUNDLE}' THEN concat('{BUNDLE}/', md5(line))
                 WHEN kind = 'Patient' THEN coalesce({extract}(line, '$.id'), '')
                 WHEN kind IN ('', 'Medication', 'OperationOutcome') THEN ''
                 WHEN kind = 'AllergyIntolerance' THEN {_found(f"{extract}(line, '$.patient.reference')", subject)}
                 ELSE {_found(f"{extract}(line, '$.subject.reference')", subject)} END AS chart,
            CASE WHEN kind = 'Medication' THEN coalesce({extract}(line, '$.id'), '')
                 WHEN kind IN ('MedicationRequest', 'MedicationStatement')
                 THEN {_found(f"{extract}(line, '$.medicationReference.reference')", medication)}
                 ELSE '' END AS medication
        FROM (SELECT line, file, coalesce({extract}(line, '$.resourceType'), '') AS kind FROM {lines}) AS read
        WHERE kind IN ('', 'OperationOutcome', {", ".join(f"'{kind}'" for kind in WANTED)})"""


def _found(text: str, pattern: str) -> str:
    return f"coalesce(regexp_extract({text}, '{pattern}', 1), '')"


def _optional(fhir_server: str) -> str:
    """A pattern of the server's base, each character that could mean something in brackets; or of nothing."""
    if not fhir_server:
        return ""
    spelled = "".join(each if each.isalnum() else f"[{each}]" for each in fhir_server.rstrip("/") + "/")
    return f"(?:{spelled})?"
