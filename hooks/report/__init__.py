"""The report for a clinical committee: counts of calls and cards, and one HTML page with plots made from them."""
