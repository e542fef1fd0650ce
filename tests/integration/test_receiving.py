"""One long poll over kombu's curl client, ended while its answer is, or is not, here already."""

import select
import socket
from collections.abc import Iterator

import boto3
import pytest
from kombu.asynchronous.hub import Hub

from workers.receiving import Outcome, Received, Receiver

# kombu's own use of pycurl
pytestmark = pytest.mark.filterwarnings("ignore:(IOCTLFUNCTION|socket_all) :DeprecationWarning")

BODY = b'{"Messages": [{"MessageId": "m", "ReceiptHandle": "h", "Body": "{}"}]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
ANSWER += b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


class Poll:
    """A receiver whose request has reached its server."""

    def __init__(self, listener: socket.socket) -> None:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = boto3.client(
            "sqs",
            endpoint_url=url,
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
        )
        self.hub = Hub()
        self.hub.call_repeatedly(0.01, int)  # else a turn may last for ever
        self._turns = self.hub.create_loop()
        self.outcomes: list[Outcome] = []
        self.receiver = Receiver(client, self.hub, lambda: client)
        self.receiver.receive(
            f"{url}/1/q",
            10,
            wait_seconds=5,
            timeout_seconds=600,
            visibility_timeout=30,
            done=self.outcomes.append,
        )
        self._turn_until_readable(listener)
        self.server, _ = listener.accept()
        self._turn_until_readable(self.server)
        self.server.recv(65536)

    def answer(self, data: bytes) -> None:
        """Send it, and have it there, yet unread."""
        self.server.sendall(data)
        assert select.select(list(self.receiver._curl._fds), [], [], 60)[0], "it does not arrive"

    def _turn_until_readable(self, end: socket.socket) -> None:
        for _ in range(1000):
            if select.select([end], [], [], 0)[0]:
                return
            next(self._turns)
        raise AssertionError("the request does not come")


@pytest.fixture
def poll() -> Iterator[Poll]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        poll = Poll(listener)
        yield poll
        poll.receiver.close()
        poll.server.close()
        poll.hub.close()


def test_an_answer_that_came_before_the_end_is_not_dropped(poll: Poll) -> None:
    poll.answer(ANSWER)
    assert not poll.outcomes
    poll.receiver.close()
    [outcome] = poll.outcomes
    assert isinstance(outcome, Received)
    assert [message["ReceiptHandle"] for message in outcome.messages] == ["h"]


def test_a_request_without_an_answer_ends_at_once_and_calls_nothing(poll: Poll) -> None:
    poll.receiver.close()
    assert not poll.outcomes
    assert poll.server.recv(1) == b""
