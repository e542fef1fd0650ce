"""moto behind its lock: what DynamoDB answers by itself never gets there."""

from collections.abc import Iterable
from typing import Any

import pytest

from cli.moto_server import OneAtATime

SIGNED = "AWS4-HMAC-SHA256 Credential=key/20260102/ap-northeast-1/{}/aws4_request, Signature=x"


class Moto:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked += 1
        start_response("200 OK", [])
        return [b"moto"]


def ask(moto: Moto, service: str, method: str, **headers: str) -> tuple[str, bytes]:
    """The status and the body."""
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "HTTP_AUTHORIZATION": SIGNED.format(service),
        **headers,
    }
    body = b"".join(OneAtATime(moto)(environ, lambda status, _headers: said.append(status)))
    return said[0], body


def test_a_check_of_dynamodbs_health_is_answered_as_dynamodb_does() -> None:
    moto = Moto()
    answer = ask(moto, "dynamodb", "GET")
    assert answer == ("200 OK", b"healthy: dynamodb.ap-northeast-1.amazonaws.com")
    assert moto.asked == 0


@pytest.mark.parametrize(
    ("service", "method", "headers"),
    [
        ("dynamodb", "POST", {"HTTP_X_AMZ_TARGET": "DynamoDB_20120810.GetItem"}),
        ("kinesis", "GET", {}),
        ("logs", "GET", {}),
    ],
)
def test_everything_else_is_motos(service: str, method: str, headers: dict[str, str]) -> None:
    moto = Moto()
    assert ask(moto, service, method, **headers) == ("200 OK", b"moto")
    assert moto.asked == 1
