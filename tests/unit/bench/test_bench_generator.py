"""How the load generator reads responses, and what it makes of their times."""

import math

import pytest

from bench.generator import BrokenLoadError, percentile, split

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Other: 1"


def test_a_whole_response_is_split_into_head_and_body() -> None:
    assert split(HEAD + b"\r\n\r\nhello") == (HEAD, b"hello")


@pytest.mark.parametrize("received", [b"HTTP/1.1 200", HEAD + b"\r\n", HEAD + b"\r\n\r\nhell"])
def test_a_response_is_waited_for_until_it_is_whole(received: bytes) -> None:
    assert split(received) is None


def test_the_bytes_of_another_response_are_an_error() -> None:
    with pytest.raises(BrokenLoadError):
        split(HEAD + b"\r\n\r\nhello!")


def test_a_response_without_a_length_is_an_error() -> None:
    with pytest.raises(BrokenLoadError):
        split(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.50) == 50.0
    assert percentile(values, 0.99) == 99.0
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0
    assert math.isnan(percentile([], 0.5))
