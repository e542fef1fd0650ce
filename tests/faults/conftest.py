"""One rig for all cells, made anew where a cell has spoiled it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.rig import Rig, running
from tests.faults.stores import Stores


class Rigs:
    """Gives out the rig that runs, or starts one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._number = 0
        self._stack = ExitStack()
        self._running: tuple[Rig, Stores] | None = None

    def get(self) -> tuple[Rig, Stores]:
        """A rig that is well."""
        if self._running is None:
            self._number += 1
            rig = self._stack.enter_context(running(self._directory / str(self._number)))
            stores = Stores(rig)
            self._stack.callback(stores.close)
            self._running = rig, stores
        return self._running

    def drop(self) -> None:
        """Have the next one begin anew."""
        self._running = None
        self._stack.close()


@pytest.fixture(scope="session")
def rigs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rigs]:
    found = Rigs(tmp_path_factory.mktemp("rigs"))
    yield found
    found.drop()
