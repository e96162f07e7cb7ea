"""The project's knowledge as FHIR conformance resources: profiles, value sets, plans, and the package of them all.

Everything here is made from the catalogue, the knowledge folder and the readers, so that it is never a second truth.
"""
