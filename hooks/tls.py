"""How the service makes sure whom it asks over https."""

import ssl
from pathlib import Path

import httpx


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer; the public authorities, and those of the site's file (PEM)."""
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(ca_file)
    return context
