"""The audit: a row for every hook call, refused ones too, that nobody can change unnoticed (reliability.md, row 37)."""
