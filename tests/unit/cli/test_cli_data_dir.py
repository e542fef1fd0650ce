from pathlib import Path

import pytest

from cli.data_dir import LOGS_KEPT, DataDir
from cli.failures import Failure


def test_one_stack_at_a_time_has_the_directory(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    directory.make()
    assert not directory.in_use()
    with directory.lock():
        assert directory.in_use()
        with pytest.raises(Failure, match="already running"):
            DataDir(tmp_path).lock()
    assert not directory.in_use()
    directory.lock().close()


def test_a_directory_that_never_was_is_not_in_use(tmp_path: Path) -> None:
    assert not DataDir(tmp_path / "none").in_use()
    assert not (tmp_path / "none").exists()


def test_a_directory_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="cannot be written"):
        DataDir(tmp_path / "file" / "data").make()


def test_logs_of_the_last_runs_are_put_aside_and_the_oldest_is_dropped(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    directory.make()
    for run in range(LOGS_KEPT + 2):
        directory.log("relay").write_text(str(run))
        directory.rotate_logs()
    kept = {path.name: path.read_text() for path in directory.logs.iterdir()}
    assert kept == {f"relay.log.{age}": str(LOGS_KEPT + 2 - age) for age in range(1, LOGS_KEPT + 1)}
