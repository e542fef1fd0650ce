"""A customer's connection: it is kept alive, and opened again when it is lost."""

import http.client
import json
from collections.abc import Mapping
from typing import Any

from cli.ports import HOST

ANSWER_SECONDS = 10.0


class Link:
    """One connection to the request path."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)

    def post(self, path: str, body: bytes, token: str) -> tuple[int, Mapping[str, Any]] | None:
        """The status and the document; None where nobody answers."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            self._connection.request("POST", path, body, headers)
            reply = self._connection.getresponse()
            return reply.status, json.loads(reply.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
