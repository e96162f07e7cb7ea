"""What a site keeps: feedback and the audit of calls, in SQLite or PostgreSQL (reliability.md, rows 34 to 38)."""
