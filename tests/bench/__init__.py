"""How fast a whole call is, beside a bare Flask application: `make bench`, explained in docs/performance.md."""
