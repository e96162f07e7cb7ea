"""How the service makes sure whom it asks over https."""

import ssl
from pathlib import Path

import httpx


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer; the public authorities, and those of the site's file (PEM).

    Chain, host and dates are checked. The other rules of RFC 5280, which Python 3.13 adds, many a hospital's own
    authority breaks: its servers would be refused, and charts not assessed for it.
    """
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file:
        context.load_verify_locations(ca_file)
    return context
