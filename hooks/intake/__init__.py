"""The intake form: a SMART on FHIR app that asks what the record cannot tell, and writes the answers into it."""
