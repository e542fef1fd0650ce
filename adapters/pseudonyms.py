"""What stands for a user outside: the same user always has the same pseudonym, and only who has the
key can tell whose it is. Without a key there are none, and users are left out.
"""

import hmac

PSEUDONYM_CHARS = 32


class Pseudonyms:
    """The pseudonyms under one key. All processes of a deployment need the same one."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, user: str) -> str:
        """HMAC-SHA256 of the user id, in hex; empty for an anonymous user or without a key."""
        if not user or not self._key:
            return ""
        return hmac.digest(self._key, user.encode(), "sha256").hex()[:PSEUDONYM_CHARS]
