"""One embedded stack for all system tests that leave it as they found it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector import Collector, collecting
from tests.system.running import Stack, running


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the spans of the stack of all tests go."""
    with collecting() as found:
        yield found


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Stack]:
    data_dir = tmp_path_factory.mktemp("stack") / "data"
    with running(data_dir, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as started:
        yield started.until_ready()


@pytest.fixture
def lone_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that nobody else has used or will use."""
    with running(tmp_path / "data") as started:
        yield started.until_ready()
