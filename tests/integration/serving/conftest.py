"""A Valkey and a serving process for the tests of one module."""

from collections.abc import Iterator

import pytest

from adapters import redis_kept
from serving import response_store
from tests.integration.serving.processes import Serving, Valkey, start_serving, stop, wait_until
from tests.unhurried import LONG_SECONDS


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own connections are never slow: where the machine is busy they wait."""
    monkeypatch.setattr(redis_kept, "PROBE_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(response_store, "STORE_SECONDS", LONG_SECONDS)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    server.publish()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def serving(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    process = start_serving(valkey, tmp_path_factory.mktemp("serving"))
    try:
        wait_until(process.ready, "the request path is ready")
        yield process
    finally:
        stop(process)
