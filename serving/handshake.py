"""What every conversation begins with, whatever carries it: where it comes from and which it is."""

import re
from urllib.parse import parse_qs

from serving.problems import forbidden, unprocessable

_SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def require_origin(origin: str | None, allowed: frozenset[str]) -> None:
    """Raises Problem for a page that may not connect; what is no page names no origin."""
    if origin is not None and origin not in allowed:
        raise forbidden("pages of this origin may not connect")


def session_id_of(query: str) -> str:
    """The session that a query string names; raises Problem unless it is one, once."""
    try:
        ids = parse_qs(query, keep_blank_values=True, max_num_fields=8).get("session_id", [])
    except ValueError:
        ids = []
    if len(ids) != 1 or not _SESSION_ID.fullmatch(ids[0]):
        raise unprocessable("session_id: 1 to 128 of A-Z a-z 0-9 . _ : -, once")
    return ids[0]
