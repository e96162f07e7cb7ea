"""A whole population's charts evaluated at once: what would have fired, for whom, how often (docs/population.md).

The lines of an export are grouped by patient and evaluated part by part, on one machine (`local`, with DuckDB) or on a
cluster (`spark`). Both end in the same Parquet tables, from which figures and comparisons are made.
"""
