"""Whom a TLS client of AWS trusts."""

import os
import ssl

from botocore.httpsession import get_cert_path


def tls() -> ssl.SSLContext:
    """The SDK's own variable and bundle, since a slim image may have no other."""
    return ssl.create_default_context(
        cafile=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(verify=True)
    )
