"""The W3C trace context of requests."""

import re

_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_of(header: bytes | None) -> str | None:
    """The W3C trace context of a request, None for one that is malformed."""
    if header is None or not _TRACEPARENT.fullmatch(header):
        return None
    return header.decode()
