"""HTTP requests to our own processes, with the errors of a command line."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from cli.failures import Failure

SECONDS = 5.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, and the body if it is a JSON object."""

    status: int
    body: Mapping[str, object]


def get(url: str) -> Reply:
    """The reply to a GET; raises Failure where nobody answers."""
    return _send(urllib.request.Request(url))  # noqa: S310 - http of ours


def post(url: str, document: Mapping[str, object], token: str = "") -> Reply:
    """The reply to a POST of JSON; raises Failure where nobody answers."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(document).encode()
    return _send(urllib.request.Request(url, data, headers))  # noqa: S310 - http of ours


def _send(request: urllib.request.Request) -> Reply:
    try:
        with _NO_PROXY.open(request, timeout=SECONDS) as answer:
            return Reply(answer.status, _object(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, _object(error.read()))
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise Failure(f"{request.full_url} cannot be reached: {reason}") from error


def _object(body: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
