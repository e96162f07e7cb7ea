"""The workbench at `/`: the service in a browser, for people who integrate it (docs/workbench.md)."""
