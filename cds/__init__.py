"""The medicine: facts of one chart, questions, criteria and cards. Standard library only.

No HTTP, no FHIR, no code system, no clock: `fhir_profiles` turns a record into a `Chart`,
`hooks` says when and for whom.
"""
