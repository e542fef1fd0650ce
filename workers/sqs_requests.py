"""SQS's batch requests over boto3, and one client per process; every failure becomes a code.

The endpoint comes from the SDK's own AWS_ENDPOINT_URL variables or the region, never from the
broker URL: kombu would take its host for the endpoint, and real AWS where there is none.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from kombu.asynchronous.aws.ext import exceptions as aws_exceptions

from workers.batches import Entry

RENEWAL_SECONDS = 10.0

EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "UnrecognizedClientException",
    }
)

_REFUSED = frozenset(
    {
        "InvalidParameterValue",
        "MessageNotInflight",
        "ReceiptHandleIsInvalid",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)

BatchRequest = Callable[..., Mapping[str, Any]]


class SqsClient(Protocol):
    """The part of boto3's client that the transport's threads use; thread-safe."""

    @property
    def delete_message_batch(self) -> BatchRequest:
        """Send DeleteMessageBatch."""

    @property
    def change_message_visibility_batch(self) -> BatchRequest:
        """Send ChangeMessageVisibilityBatch."""


def refused(code: str) -> bool:
    """Tell whether sending it again is pointless: the receipt handle is void."""
    return code in _REFUSED


def send_batch(
    request: BatchRequest, url: str, entries: Sequence[Mapping[str, Any]], batch: Sequence[Entry]
) -> list[tuple[Entry, str]]:
    """Send one batch; returns the entries that failed, each with its code."""
    try:
        answer = request(QueueUrl=url, Entries=entries)
        return [
            (batch[int(failure["Id"])], str(failure.get("Code", "unknown")))
            for failure in answer.get("Failed") or []
        ]
    except aws_exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
    except Exception as error:  # the edge of a thread that must go on
        code = type(error).__name__
    return [(entry, code) for entry in batch]


class SharedClients:
    """One client per process and region: each costs 8 MB and up to a third of a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[tuple[int, str, str | None], tuple[float, Any]] = {}

    def get(self, region: str, make: Callable[[], Any]) -> Any:
        """Give the client for this region, made with `make` at first use."""
        endpoint = _configured_endpoint()
        with self._lock:
            key = (os.getpid(), region, endpoint)  # a forked child must not share sockets
            if key not in self._clients:
                client = make()
                _insist(client.meta.endpoint_url, endpoint)
                self._clients[key] = time.monotonic(), client
            return self._clients[key][1]

    def renew(self, region: str, make: Callable[[], Any]) -> Any:
        """Read the credentials anew, at most every ten seconds."""
        key = (os.getpid(), region, _configured_endpoint())
        with self._lock:
            made_at, _ = self._clients.get(key, (0.0, None))
            if time.monotonic() - made_at > RENEWAL_SECONDS:
                self._clients.pop(key, None)
        return self.get(region, make)


def _configured_endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_SQS") or os.environ.get("AWS_ENDPOINT_URL")


def _insist(actual: str, configured: str | None) -> None:
    if configured is not None and actual.rstrip("/") != configured.rstrip("/"):
        raise RuntimeError(
            f"SQS would be reached at {actual}, but the environment says {configured}; "
            "is AWS_IGNORE_CONFIGURED_ENDPOINT_URLS set?"
        )
