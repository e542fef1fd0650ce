"""What the address of an OpenSearch says of how to call it."""

from urllib.parse import urlsplit

SIGNED = {".es.amazonaws.com": "es", ".aoss.amazonaws.com": "aoss"}
"""Under which name the calls of a host are signed."""


def signing_name(url: str) -> str | None:
    """Under which name calls of this address are signed; None where they are not."""
    host = urlsplit(url).hostname or ""
    return next((name for suffix, name in SIGNED.items() if host.endswith(suffix)), None)
